-- Adds jobs in the order given.
-- ARGV: base, the options of all of them as JSON, ms until they may be taken, their priority, '1' to
--       go in front of the others, then name and data of each
-- Answers with their ids.

local opts, pause, priority, in_front = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local ids = {}
for at = 6, #ARGV, 2 do
  local id = tostring(call('INCR', KEYS[19]))
  call('HSET', base .. id, 'name', ARGV[at], 'data', ARGV[at + 1], 'opts', opts,
    'timestamp', now, 'delay', pause, 'priority', priority)
  emit('added', id, 'name', ARGV[at])
  if pause > 0 then
    delay(id, pause)
  else
    push_ready(id, priority, in_front)
    emit('waiting', id)
  end
  ids[#ids + 1] = id
end
if pause == 0 and #ids > 0 then
  wake()
end
return ids
