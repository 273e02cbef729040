-- Keeps the locks of jobs that are still worked on.
-- KEYS[1]: stalled. ARGV: base, ms of a lock, then id and token of each job.
-- Answers with the ids of those whose lock is not this worker's any more.

local lost = {}
for at = 3, #ARGV, 2 do
  local id, token = ARGV[at], ARGV[at + 1]
  local lock = ARGV[1] .. id .. ':lock'
  if redis.call('GET', lock) == token then
    -- Not SET: that is refused when Redis' memory is full, and the job would be delivered twice.
    redis.call('PEXPIRE', lock, ARGV[2])
    redis.call('SREM', KEYS[1], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
