-- How jobs ended.
-- KEYS: failed
-- ARGV: what a job's key begins with, then ids
-- Answers for each: 0 not yet, 1 completed (or not there any more), 2 failed.

local codes = {}
for at = 2, #ARGV do
  local key = ARGV[1] .. ARGV[at]
  local code = 0
  if redis.call('ZSCORE', KEYS[1], ARGV[at]) then
    code = 2
  elseif redis.call('EXISTS', key) == 0 or redis.call('HEXISTS', key, 'returnvalue') == 1 then
    code = 1
  end
  codes[#codes + 1] = code
end
return codes
