-- The limit of one workspace: hands out moments at which one request each may be sent.
--
-- The moments are evenly spaced and shared by all who ask. "At most R in any span of one second"
-- follows from the spacing; a margin in it takes up that requests arrive a little late or early.
-- All times are in microseconds by this server's clock.
--
-- KEYS[1]  hash: next     the first moment that is not taken
--                low      the lowest rate that a live sharer is set to
--                factor   what is left of it after answers 429, 0..1
--                changed  when factor last changed
--                hold     nothing before this moment
--                granted  how many moments were ever taken (usage.lua reads it)
--                open:<whose>  until when they send nothing because Customer.io takes nothing (circuit.lua)
--                m:<id>   "<rate>:<until>": what a sharer is set to, and until when that counts
-- ARGV     1 the sharer's id   2 its rate   3 how many moments it could use
--          4 the last "next" it knows, 0 for none   5 how long an answer takes to get back to it
--          6 "1": Customer.io answered 429   7 what that answer asked to wait
-- Answers  {moments granted, time until the first of them (or until to ask again),
--           time between them, next, lowest rate, factor in thousandths}
local key, id = KEYS[1], ARGV[1]
local own, wanted = tonumber(ARGV[2]), tonumber(ARGV[3])
local known, lead = tonumber(ARGV[4]), tonumber(ARGV[5])
local throttled, asked = ARGV[6] == '1', tonumber(ARGV[7])

local SECOND = 1000000
-- The part of the rate that is handed out: the rest is the margin.
local USED = 0.98
-- Moments are reserved no further ahead than this: one who dies holds up nobody for longer.
local AHEAD = 100000
-- A moment that passed unused this short ago may still be used.
local BEHIND = 4000
local MEMBER = 10 * SECOND
-- No honest hold ends later: the clock was set back.
local HOLD = 301 * SECOND
local KEEP_MS = 86400000
local STEP, FALL, RISE, LEAST = 5 * SECOND, 0.7, 0.1, 0.1

local function text(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * SECOND + tonumber(time[2])
local stored = redis.call('HMGET', key, 'next', 'low', 'factor', 'changed', 'hold', 'm:' .. id)

-- Nothing is known of the last second when the key is gone: it counts as full. After a failover to
-- a copy that lags, those who ask know better than the key. A clock that was set back must not
-- close the line: no moment is honestly that far ahead.
local next = math.max(tonumber(stored[1] or now + SECOND), known)
if next > now + 3 * SECOND then
  next = now + SECOND
end

-- A sharer's own setting counts from its first question until it has asked no more for a while.
local low = tonumber(stored[2] or own)
local rate, untill = string.match(stored[6] or '', '^(.*):(.*)$')
if tonumber(rate) ~= own or tonumber(untill) < now + MEMBER / 2 or tonumber(untill) > now + 2 * MEMBER then
  low = own
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'm:' and all[i] ~= 'm:' .. id then
      local other, till = string.match(all[i + 1], '^(.*):(.*)$')
      if tonumber(till) < now then
        redis.call('HDEL', key, all[i])
      else
        low = math.min(low, tonumber(other))
      end
    end
  end
  redis.call('HSET', key, 'm:' .. id, own .. ':' .. text(now + MEMBER), 'low', low)
end
low = math.min(low, own)

local factor = tonumber(stored[3] or 1)
local since = now - tonumber(stored[4] or 0)
local before = factor
if throttled then
  -- The answers to requests of the same moment are one event.
  if factor == 1 or since > SECOND or since < 0 then
    factor = math.max(factor * FALL, LEAST)
  end
elseif factor < 1 and (since > STEP or since < 0) then
  factor = math.min(factor + RISE, 1)
end
if factor ~= before then
  redis.call('HSET', key, 'factor', factor, 'changed', text(now))
end

local hold = tonumber(stored[5] or 0)
if hold > now + HOLD then
  hold = 0
end
if throttled and asked > 0 then
  hold = math.max(hold, now + asked)
  redis.call('HSET', key, 'hold', text(hold))
end

local interval = math.ceil(SECOND / (math.max(low * factor, math.min(low, 1)) * USED))
local first = math.max(next, now - BEHIND + lead, hold)
local granted, wait = 0, first - now
if wanted > 0 and wait <= AHEAD + lead then
  granted = math.min(wanted, 1 + math.floor((AHEAD + lead - wait) / interval))
  next = first + granted * interval
else
  wait = math.max(wait - AHEAD - lead, 0)
end
if granted > 0 then
  redis.call('HINCRBY', key, 'granted', granted)
end
redis.call('HSET', key, 'next', text(next))
redis.call('PEXPIRE', key, KEEP_MS)
return {granted, wait, interval, next, tostring(low), math.floor(factor * 1000 + 0.5)}
