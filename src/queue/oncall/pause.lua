-- Pauses or resumes a queue, whichever BullMQ the others are.
-- ARGV: base, 'paused' or 'resumed', '5' or '6' for the BullMQ that reads it, '' to find out.
-- BullMQ 5 keeps ready jobs in a list `paused` meanwhile, and its resume puts that list over `wait`;
-- BullMQ 6 leaves them in `wait`. Here both lists are joined, so none is ever written over.
-- It is one script, whose cost is that of the shorter list: between two of them a BullMQ 5 could
-- rename a list over the other.

local paused = KEYS[5]

-- Joins both lists under the name `into`; jobs in `paused` were there first and are taken first.
local function join(into)
  if call('EXISTS', wait, paused) == 2 then
    if call('LLEN', wait) < call('LLEN', paused) then
      repeat
        local ids = call('RPOP', wait, 1000)
        if ids then call('LPUSH', paused, unpack(ids)) end
      until not ids
    else
      repeat
        local ids = call('LPOP', paused, 1000)
        if ids then call('RPUSH', wait, unpack(ids)) end
      until not ids
    end
  end
  local from = into == wait and paused or wait
  if call('EXISTS', from) == 1 then
    call('RENAME', from, into)
  end
end

local was_paused = is_paused
local as_5 = ARGV[3] == '5'
if ARGV[3] == '' then
  as_5 = (meta[6] and string.sub(meta[6], 1, 8) == 'bullmq:5') or call('EXISTS', paused) == 1
end

if ARGV[2] == 'paused' then
  call('HSET', KEYS[6], 'paused', 1)
  call('DEL', marker)
  join(as_5 and paused or wait)
else
  call('HDEL', KEYS[6], 'paused')
  join(wait)
  is_paused = false
  local due, earliest = next_due()
  if call('LLEN', wait) + call('ZCARD', prioritized) > 0 then
    wake()
  elseif due then
    call('ZADD', marker, math.floor(earliest / PER_MS), '1')
  end
end

local changed = was_paused ~= (ARGV[2] == 'paused')
if changed then
  call('XADD', events, 'MAXLEN', '~', max_events, '*', 'event', ARGV[2])
end
return { changed and 1 or 0, as_5 and 5 or 6,
  call('LLEN', wait) + call('LLEN', paused) + call('ZCARD', prioritized) }
