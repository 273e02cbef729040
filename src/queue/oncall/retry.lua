-- Makes failed jobs ready again, in the order given, each as BullMQ does it.
-- ARGV: base, '1' to count attempts anew, then id and time of failing for each job.
-- Answers with a code for each: 1 it is ready, 0 it has not failed at that time (any more), -1 there
-- is no such job, -2 its hash is not as BullMQ writes it and it stays where it is.

-- A parent waits for its child again.
local function back_to_parent(key)
  local parent = call('HGET', key, 'parentKey')
  if not parent or call('EXISTS', parent) == 0 then
    return
  end
  if call('ZREM', parent .. ':unsuccessful', key) == 1 or call('HDEL', parent .. ':failed', key) == 1 then
    call('SADD', parent .. ':dependencies', key)
  end
end

local function retry(id, failed_at, anew)
  local key = base .. id
  if call('ZSCORE', failed, id) ~= failed_at then
    return 0
  end
  local opts = redis.pcall('HGET', key, 'opts')
  if type(opts) == 'table' then
    return -2
  end
  call('ZREM', failed, id)
  if call('EXISTS', key) == 0 then
    return -1
  end
  -- With `defa` it would fail again without being tried.
  call('HDEL', key, 'finishedOn', 'processedOn', 'failedReason', 'stacktrace', 'defa')
  if anew then
    call('HDEL', key, 'atm', 'ats')
  end
  back_to_parent(key)
  make_ready(id, opts and string.find(opts, '"lifo":true', 1, true), 'failed')
  return 1
end

local codes, any = {}, false
for at = 3, #ARGV, 2 do
  local code = retry(ARGV[at], ARGV[at + 1], ARGV[2] == '1')
  codes[#codes + 1] = code
  any = any or code == 1
end
if any then
  wake()
end
return codes
