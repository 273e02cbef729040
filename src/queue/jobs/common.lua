-- What the scripts of this folder share. Equal in effect to BullMQ's own scripts, which see one job
-- at a time; these see many. Time is Redis' own, so pods whose clocks differ agree.
-- KEYS: wait, active, prioritized, delayed, paused, meta, events, marker, limiter, stalled, pc,
--       completed, failed, metrics:completed, metrics:completed:data, metrics:failed,
--       metrics:failed:data, stalled-check, id
-- ARGV[1]: what a job's key begins with. Job keys are built here: they share the slot of the others.

local call = redis.call
local base = ARGV[1]
local wait, active, prioritized, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local events, marker, stalled = KEYS[7], KEYS[8], KEYS[10]
local completed, failed = KEYS[12], KEYS[13]

-- A delayed job's score is its due time in ms times this, plus a number that keeps those of the
-- same ms in order.
local PER_MS = 4096
-- A prioritized job's score is its priority times this, plus a counter.
local PER_PRIORITY = 4294967296

local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local meta = call('HMGET', KEYS[6],
  'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents', 'version')
local is_paused = meta[1] ~= false
local concurrency = tonumber(meta[2] or nil)
local rate_max = tonumber(meta[3] or nil)
local max_events = tonumber(meta[5] or nil) or 10000

local function emit(event, id, ...)
  call('XADD', events, 'MAXLEN', '~', max_events, '*', 'event', event, 'jobId', id, ...)
end

-- Where ready jobs go. While a queue is paused, BullMQ 5 keeps them in a list of their own, which
-- its resume puts over `wait`; BullMQ 6 knows no such list.
local function ready_list()
  if is_paused then
    local is_5 = meta[6] and string.sub(meta[6], 1, 8) == 'bullmq:5'
    if is_5 or call('EXISTS', KEYS[5]) == 1 then
      return KEYS[5]
    end
  end
  return wait
end

-- Whether no worker may take a job now.
local function is_blocked()
  return is_paused or (concurrency and call('LLEN', active) >= concurrency)
end

-- Wakes a worker that waits for jobs.
local function wake()
  if not is_blocked() then
    call('ZADD', marker, 0, '0')
  end
end

-- Puts a job among those that are ready: behind the others, or in front of them.
local function push_ready(id, priority, in_front)
  if priority > 0 then
    local turn = in_front and 0 or call('INCR', KEYS[11]) % PER_PRIORITY
    call('ZADD', prioritized, priority * PER_PRIORITY + turn, id)
  else
    call(in_front and 'RPUSH' or 'LPUSH', ready_list(), id)
  end
end

-- Makes a job ready that was something else before.
local function make_ready(id, in_front, previous)
  push_ready(id, tonumber(call('HGET', base .. id, 'priority') or nil) or 0, in_front)
  emit('waiting', id, 'prev', previous)
end

-- In how many ms the next delayed job is due; nothing where there is none.
local function next_due()
  local first = call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if first[2] then
    return math.max(1, math.ceil(tonumber(first[2]) / PER_MS) - now), tonumber(first[2])
  end
end

-- Puts a job aside for `pause` ms.
local function delay(id, pause)
  local first = (now + pause) * PER_MS
  local last = call('ZREVRANGEBYSCORE', delayed, first + PER_MS - 1, first,
    'WITHSCORES', 'LIMIT', 0, 1)
  local score = first
  if last[2] then
    score = math.min(tonumber(last[2]) + 1, first + PER_MS - 1)
  end
  call('ZADD', delayed, score, id)
  call('HSET', base .. id, 'delay', pause)
  emit('delayed', id, 'delay', now + pause)
  if not is_blocked() then
    local _, earliest = next_due()
    call('ZADD', marker, math.floor(earliest / PER_MS), '1')
  end
end

-- A job whose hash is not as BullMQ writes it would stop the whole queue: it fails instead.
local function fail_broken(id)
  call('LREM', active, -1, id)
  call('DEL', base .. id .. ':lock')
  call('SREM', stalled, id)
  local reason = "the job's hash in Redis is broken"
  redis.pcall('HSET', base .. id, 'failedReason', reason, 'finishedOn', now)
  call('ZADD', failed, now, id)
  emit('failed', id, 'failedReason', reason, 'prev', 'active')
end
