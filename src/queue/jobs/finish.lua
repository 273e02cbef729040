-- What became of jobs that a worker had in hand: `finish(first)` reads it from ARGV, ten values a
-- job from index `first`, and answers with a code for each, BullMQ's own: 0 done, -1 no such job,
-- -2 its lock has run out, -3 it is not active, -6 another worker has its lock.

local WIDTH = 10

-- Takes a job out of the hands of its worker, if it is still in them.
local function let_go(id, token)
  local key = base .. id
  if call('EXISTS', key) == 0 then
    return -1
  end
  local holder = call('GET', key .. ':lock')
  if holder ~= token then
    return holder and -6 or -2
  end
  -- The oldest are at the end.
  if call('LREM', active, -1, id) == 0 then
    return -3
  end
  call('DEL', key .. ':lock')
  call('SREM', stalled, id)
  return 0
end

local function remove(id)
  local key = base .. id
  local deduplication = call('HGET', key, 'deid')
  if deduplication and call('GET', base .. 'de:' .. deduplication) == id then
    call('DEL', base .. 'de:' .. deduplication)
  end
  call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
    key .. ':unsuccessful')
end

-- Forgets finished jobs beyond `count` and those older than `age` seconds, 1,000 at most each
-- time; -1 for no bound.
local function prune(set, count, age)
  local gone = {}
  if age >= 0 then
    gone = call('ZRANGEBYSCORE', set, '-inf', now - age * 1000, 'LIMIT', 0, 1000)
  end
  if count >= 0 and #gone == 0 then
    local beyond = math.min(call('ZCARD', set) - count, 1000)
    if beyond > 0 then
      gone = call('ZRANGE', set, 0, beyond - 1)
    end
  end
  for _, id in ipairs(gone) do
    remove(id)
  end
  if #gone > 0 then
    call('ZREM', set, unpack(gone))
  end
end

-- BullMQ's metrics: a running count, and what each of the last minutes added to it.
local function record(totals, minutes, count)
  if count == 0 then
    return
  end
  local before = call('HINCRBY', totals, 'count', count) - count
  local last = call('HMGET', totals, 'prevTS', 'prevCount')
  if not last[1] then
    call('HSET', totals, 'prevTS', now, 'prevCount', 0)
    return
  end
  local passed = math.min(math.floor(now / 60000) - math.floor(last[1] / 60000), 20160)
  if passed > 0 then
    call('LPUSH', minutes, before - (tonumber(last[2] or nil) or 0))
    for _ = 2, passed do
      call('LPUSH', minutes, 0)
    end
    call('LTRIM', minutes, 0, 20159)
    call('HSET', totals, 'prevTS', now, 'prevCount', before)
  end
end

-- A job has its result, or has failed for good. `keep_count` 0: it is not kept.
local function settle(id, set, field, text, keep_count)
  if keep_count == 0 then
    remove(id)
    return
  end
  call('ZADD', set, now, id)
  call('HSET', base .. id, field, text, 'finishedOn', now)
end

local outcomes = {}

function outcomes.complete(id, job)
  call('HINCRBY', base .. id, 'atm', 1)
  settle(id, completed, 'returnvalue', job.text, job.keep_count)
  emit('completed', id, 'returnvalue', job.text, 'prev', 'active')
  return completed
end

function outcomes.fail(id, job)
  local key = base .. id
  local made = call('HINCRBY', key, 'atm', 1)
  call('HSET', key, 'stacktrace', job.stack)
  settle(id, failed, 'failedReason', job.text, job.keep_count)
  emit('failed', id, 'failedReason', job.text, 'prev', 'active')
  if made >= job.attempts then
    emit('retries-exhausted', id, 'attemptsMade', made)
  end
  return failed
end

function outcomes.retry(id, job)
  local key = base .. id
  call('HINCRBY', key, 'atm', 1)
  call('HSET', key, 'failedReason', job.text, 'stacktrace', job.stack)
  if job.pause > 0 then
    delay(id, job.pause)
  else
    make_ready(id, job.in_front, 'active')
  end
end

-- Neither of these two counts as an attempt.
function outcomes.put_back(id)
  make_ready(id, true, 'active')
end

function outcomes.put_aside(id, job)
  delay(id, job.pause)
end

local function finish(first)
  local codes, counts, kept = {}, {}, nil
  -- Jobs that are kept alike are pruned together, in their order.
  local function prune_kept()
    if kept then
      prune(kept.set, kept.count, kept.age)
    end
  end
  for at = first, #ARGV, WIDTH do
    local id = ARGV[at + 1]
    local job = {
      text = ARGV[at + 3],
      stack = ARGV[at + 4],
      pause = tonumber(ARGV[at + 5]),
      attempts = tonumber(ARGV[at + 6]),
      keep_count = tonumber(ARGV[at + 7]),
      keep_age = tonumber(ARGV[at + 8]),
      in_front = ARGV[at + 9] == '1',
    }
    local code = let_go(id, ARGV[at + 2])
    codes[#codes + 1] = code
    if code == 0 then
      local went_well, set = pcall(outcomes[ARGV[at]], id, job)
      if not went_well then
        fail_broken(id)
      elseif set then
        counts[set] = (counts[set] or 0) + 1
      end
      -- A job that is not kept itself leaves those before it as they are.
      if went_well and set and job.keep_count ~= 0 then
        local same = kept and kept.set == set and kept.count == job.keep_count
          and kept.age == job.keep_age
        if not same then
          prune_kept()
          kept = { set = set, count = job.keep_count, age = job.keep_age }
        end
      end
    end
  end
  prune_kept()
  record(KEYS[14], KEYS[15], counts[completed] or 0)
  record(KEYS[16], KEYS[17], counts[failed] or 0)
  return codes, (counts[completed] or counts[failed]) ~= nil
end
