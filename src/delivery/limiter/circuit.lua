-- Tells whether a worker has stopped sending.
--
-- KEYS[1]  the hash that limit.lua keeps
-- ARGV[1]  how long that holds if nothing more is said, in microseconds; 0 when it sends again
-- ARGV[2]  whose circuit it is: others of the workspace may send to another place, or with another key
local KEEP_MS = 86400000
local lasts = tonumber(ARGV[1])
local field = 'open:' .. ARGV[2]
if lasts == 0 then
  redis.call('HDEL', KEYS[1], field)
  return 0
end
local time = redis.call('TIME')
local till = tonumber(time[1]) * 1000000 + tonumber(time[2]) + lasts
-- Only for as long as the longest wait: a worker that dies must not be believed for ever.
redis.call('HSET', KEYS[1], field, string.format('%.0f', till))
redis.call('PEXPIRE', KEYS[1], KEEP_MS)
return 1
