-- Jobs for a worker, in the order of the queue: `take(wanted, bytes, most, lock, token)` takes up to
-- `wanted`, and no more once their names, data and stack traces reach `bytes`. Data longer than `most` is not read: its
-- length is told instead. It stops before a job that needs more
-- than these scripts do: one of a flow, of a scheduler, or with a deduplication id.

-- BullMQ writes this into the limiter's key to stop a queue for a while, whatever its own limit.
local STOPPED = 9007199254740991

-- Redis serves nobody else meanwhile, however many ids there are without a job.
local MOST_TURNS = 1000

-- Makes delayed jobs ready whose time has come.
local function promote()
  local due = call('ZRANGEBYSCORE', delayed, 0, (now + 1) * PER_MS - 1, 'LIMIT', 0, 1000)
  for _, id in ipairs(due) do
    -- First, and one by one: Redis refuses no removal when its memory is full, and nothing that
    -- comes after one in the same script. A refusal must not pass for a broken job.
    call('ZREM', delayed, id)
    if call('EXISTS', base .. id) == 1 then
      if pcall(make_ready, id, false, 'delayed') then
        call('HSET', base .. id, 'delay', 0)
      else
        fail_broken(id)
      end
    end
  end
  if #due > 0 then
    wake()
  end
end

-- How many may be taken, and for how many ms none may.
local function allowance(wanted)
  local used = tonumber(call('GET', KEYS[9]) or nil) or 0
  if used >= (rate_max or STOPPED) then
    local left = call('PTTL', KEYS[9])
    if left > 0 then
      return 0, left
    end
    call('DEL', KEYS[9])
    used = 0
  end
  if is_paused then
    return 0, 0
  end
  if rate_max then
    wanted = math.min(wanted, rate_max - used)
  end
  if concurrency then
    wanted = math.min(wanted, concurrency - call('LLEN', active))
  end
  return wanted, 0
end

local function next_id()
  local id = call('LINDEX', wait, -1)
  -- BullMQ 4 left markers in the list.
  while id and string.sub(id, 1, 2) == '0:' do
    call('RPOP', wait)
    id = call('LINDEX', wait, -1)
  end
  return id or call('ZRANGE', prioritized, 0, 0)[1], not id
end

local function pop(id, by_priority)
  if not by_priority then
    call('RPOP', wait)
    return
  end
  call('ZREM', prioritized, id)
  if call('EXISTS', prioritized) == 0 then
    call('DEL', KEYS[11])
  end
end

local FIELDS = { 'name', 'data', 'opts', 'timestamp', 'atm', 'stacktrace', 'defa',
  'rjk', 'parentKey', 'deid' }
local WITHOUT_DATA = { 'name', '', unpack(FIELDS, 3) }

-- The job's fields, whether it is one for these scripts, and how long its data is where that was
-- not read; nothing where there is no such job.
local function read(id, most)
  local key = base .. id
  local length = redis.pcall('HSTRLEN', key, 'data')
  local left = type(length) == 'number' and length > most and length or false
  local job = redis.pcall('HMGET', key, unpack(left and WITHOUT_DATA or FIELDS))
  if job.err or (not job[1] and not job[2] and not left and call('EXISTS', key) == 0) then
    return nil
  end
  local special = job[8] or job[9] or job[10]
    or call('EXISTS', key .. ':dependencies', key .. ':processed', key .. ':failed',
      key .. ':unsuccessful') > 0
  return job, special, left
end

local function start(id, lock, token)
  local key = base .. id
  call('LPUSH', active, id)
  call('SET', key .. ':lock', token, 'PX', lock)
  call('HSET', key, 'processedOn', now)
  call('HINCRBY', key, 'ats', 1)
  emit('active', id, 'prev', 'waiting')
end

local function count_against_limit(taken)
  if rate_max and taken > 0 and call('INCRBY', KEYS[9], taken) == taken then
    call('PEXPIRE', KEYS[9], tonumber(meta[4] or nil) or 1000)
  end
end

local function take(wanted, bytes, most, lock, token)
  promote()
  local allowed, limited = allowance(wanted)
  local jobs, lost, special = {}, 0, false
  local turns = 0
  while #jobs < allowed and bytes > 0 and turns < MOST_TURNS do
    turns = turns + 1
    local id, by_priority = next_id()
    if not id then
      break
    end
    local job, is_special, left = read(id, most)
    if is_special then
      special = true
      break
    end
    pop(id, by_priority)
    if job and not pcall(start, id, lock, token) then
      fail_broken(id)
    elseif job then
      bytes = bytes - #(job[1] or '') - #(job[2] or '') - #(job[6] or '')
      jobs[#jobs + 1] = { id, job[1], job[2], job[3], job[4], job[5], job[6], job[7],
        left and tostring(left) }
    else
      lost = lost + 1
    end
  end
  count_against_limit(#jobs)
  local more = next_id() and true or false
  if more and turns > 0 then
    wake()
  end
  return jobs, lost, special, limited, more
end
