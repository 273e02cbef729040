-- One exchange of a worker with its queue: what became of its jobs, then new ones.
-- ARGV: base, jobs wanted, bytes wanted, bytes of one job's data, ms of their lock, its token, then
--       ten values for each finished job: outcome, id, token, text, stack, pause, attempts,
--       keep_count, keep_age, in_front
-- Answers: a code for each finished job; jobs taken; ids without a job; 1 where a job is next that
-- needs more than these scripts do; ms until the queue's own rate limit lets jobs through; ms until
-- the next delayed job; 1 where jobs are left that could be taken.

local codes, finished = finish(7)
local wanted = tonumber(ARGV[2])
local jobs, lost, special, limited, more = {}, 0, false, 0, false
if wanted > 0 then
  jobs, lost, special, limited, more = take(wanted, tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6])
elseif #codes > 0 and next_id() then
  wake()
end
if finished and #jobs == 0 and not next_id() and call('EXISTS', active) == 0 then
  call('XADD', events, 'MAXLEN', '~', max_events, '*', 'event', 'drained')
end
return { codes, jobs, lost, special and 1 or 0, limited, next_due() or 0, more and 1 or 0 }
