-- How much of a workspace's limit is used. Changes nothing.
--
-- KEYS[1]  the hash that limit.lua keeps
-- ARGV[1]  whose circuit to look at (circuit.lua)
-- Answers  {now, next, lowest rate, factor in thousandths, hold, granted, open}: times in
--          microseconds by this server's clock, false for a field that is not there
local time = redis.call('TIME')
local row = redis.call('HMGET', KEYS[1], 'next', 'low', 'factor', 'hold', 'granted', 'open:' .. ARGV[1])
local function whole(text, scale)
  local number = tonumber(text or '')
  return number and math.floor(number * scale + 0.5)
end
return {
  tonumber(time[1]) * 1000000 + tonumber(time[2]),
  whole(row[1], 1) or false,
  whole(row[2], 1) or false,
  whole(row[3], 1000) or false,
  whole(row[4], 1) or false,
  whole(row[5], 1) or false,
  whole(row[6], 1) or false,
}
