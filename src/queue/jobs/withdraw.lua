-- Takes jobs out that no worker has.
-- ARGV: base, ids
-- Answers with the ids of those.

local out = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  if call('LREM', wait, 1, id) == 1 or call('LREM', KEYS[5], 1, id) == 1
    or call('ZREM', delayed, id) == 1 or call('ZREM', prioritized, id) == 1 then
    call('DEL', base .. id, base .. id .. ':logs')
    emit('removed', id, 'prev', 'waiting')
    out[#out + 1] = id
  end
end
return out
