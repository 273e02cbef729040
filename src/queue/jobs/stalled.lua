-- Puts jobs back whose worker is gone: active at the last check, and without a lock now.
-- ARGV: base, ms between two checks of all the queue's workers together, how often a job may stall.
-- Answers with the ids put back; nothing where it is not time for a check.

if not call('SET', KEYS[18], now, 'PX', ARGV[2], 'NX') then
  return {}
end

-- Whether a job was put back; one whose hash is broken has failed instead.
local function put_back(id)
  local key = base .. id
  local times = redis.pcall('HINCRBY', key, 'stc', 1)
  if type(times) == 'table' then
    fail_broken(id)
    return false
  end
  if times > tonumber(ARGV[3]) and call('HEXISTS', key, 'rjk') == 0 then
    call('HSET', key, 'defa', 'job stalled more than allowable limit')
  end
  call('RPUSH', ready_list(), id)
  emit('waiting', id, 'prev', 'active')
  emit('stalled', id)
  return true
end

local back = {}
for _, id in ipairs(call('SMEMBERS', stalled)) do
  local key = base .. id
  if call('EXISTS', key .. ':lock') == 0 and call('LREM', active, -1, id) > 0
    and call('EXISTS', key) == 1 and put_back(id) then
    back[#back + 1] = id
  end
end
if #back > 0 then
  wake()
end
call('DEL', stalled)
local ids = call('LRANGE', active, 0, -1)
for first = 1, #ids, 1000 do
  call('SADD', stalled, unpack(ids, first, math.min(first + 999, #ids)))
end
return back
