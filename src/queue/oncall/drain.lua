-- Removes jobs that no worker has in hand, from the one that is taken next; behind finish.lua.
-- ARGV: base, which part of the queue, how many of it to pass over, how many to look at.
-- Jobs of a flow or of a scheduler stay: removing them would leave a parent waiting for ever, or end
-- the schedule. Answers with how many were removed, and how many stay.

local parts = { wait = wait, paused = KEYS[5], prioritized = prioritized, delayed = delayed }
local part = parts[ARGV[2]]
local is_list = ARGV[2] == 'wait' or ARGV[2] == 'paused'
local pass, count = tonumber(ARGV[3]), tonumber(ARGV[4])

local function belongs(id)
  local owners = redis.pcall('HMGET', base .. id, 'parentKey', 'rjk')
  return not owners.err and (owners[1] or owners[2])
end

local ids = is_list and call('LRANGE', part, -pass - count, -pass - 1)
  or call('ZRANGE', part, pass, pass + count - 1)
local gone = {}
for _, id in ipairs(ids) do
  if not belongs(id) then
    remove(id)
    gone[#gone + 1] = id
  end
end
if not is_list and #gone > 0 then
  call('ZREM', part, unpack(gone))
elseif pass == 0 and #gone == #ids and #gone > 0 then
  call('LTRIM', part, 0, -#gone - 1)
elseif is_list then
  for _, id in ipairs(gone) do
    call('LREM', part, -1, id)
  end
end
return { #gone, #ids - #gone }
