-- Everything there is to know about how full a queue is, at Redis' own time, in one round trip.
-- KEYS: wait, paused, prioritized, delayed, active, completed, failed, waiting-children, meta,
--       metrics:completed, metrics:failed
-- ARGV[1]: what a job's key begins with
-- It writes nothing. The job's own key is built here: it shares the slot of the others.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- BullMQ 4 left markers ("0:…") at the end of the lists; neither it nor its successors count them.
local function list(key)
  local length = redis.call('LLEN', key)
  local last = redis.call('LINDEX', key, -1)
  if last and string.sub(last, 1, 2) == '0:' then
    return length - 1, redis.call('LINDEX', key, -2)
  end
  return length, last
end

local oldest = false
local function consider(id)
  local enqueued = id and tonumber(redis.call('HGET', ARGV[1] .. id, 'timestamp') or nil)
  if enqueued and enqueued >= 0 and (not oldest or enqueued < oldest) then
    oldest = enqueued
  end
end

local waiting, next_waiting = list(KEYS[1])
local paused, next_paused = list(KEYS[2])
consider(next_waiting)
consider(next_paused)
consider(redis.call('ZRANGE', KEYS[3], 0, 0)[1])

return {
  now,
  waiting,
  paused,
  redis.call('ZCARD', KEYS[3]),
  redis.call('ZCARD', KEYS[4]),
  -- A delayed job's score is its due time in ms times 4096, plus a number below 4096.
  redis.call('ZCOUNT', KEYS[4], '-inf', string.format('%.0f', (now + 1) * 4096 - 1)),
  redis.call('LLEN', KEYS[5]),
  redis.call('ZCARD', KEYS[6]),
  redis.call('ZCARD', KEYS[7]),
  redis.call('ZCARD', KEYS[8]),
  redis.call('HEXISTS', KEYS[9], 'paused'),
  tonumber(redis.call('HGET', KEYS[10], 'count') or 0),
  tonumber(redis.call('HGET', KEYS[11], 'count') or 0),
  oldest,
}
