-- A page of the failed set, from the one that failed first. It writes nothing.
-- KEYS: failed; ARGV: base, from this time on, up to this time, how many of it to pass over, how
-- many, bytes of each reason.

local found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES',
  'LIMIT', ARGV[4], ARGV[5])
local rows = {}
for at = 1, #found, 2 do
  local reason = redis.pcall('HGET', ARGV[1] .. found[at], 'failedReason')
  local text = type(reason) == 'string' and string.sub(reason, 1, tonumber(ARGV[6])) or ''
  rows[#rows + 1] = { found[at], found[at + 1], text }
end
return rows
