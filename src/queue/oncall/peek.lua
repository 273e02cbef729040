-- Jobs as they lie in Redis. It writes nothing.
-- KEYS: as common.lua; ARGV: base, 'id' and an id, or a state and how many.

local waiting_children = base .. 'waiting-children'

-- The members of a list from the one that is taken next, or of a sorted set from the first.
local function from_list(key, count)
  if count <= 0 then
    return {}
  end
  local ids, turned = call('LRANGE', key, -count, -1), {}
  for at = #ids, 1, -1 do
    turned[#turned + 1] = ids[at]
  end
  return turned
end

local states = {
  waiting = function(count)
    local ids = from_list(wait, count)
    for _, id in ipairs(from_list(KEYS[5], count - #ids)) do
      ids[#ids + 1] = id
    end
    return ids
  end,
  active = function(count) return from_list(active, count) end,
  prioritized = function(count) return call('ZRANGE', prioritized, 0, count - 1) end,
  delayed = function(count) return call('ZRANGE', delayed, 0, count - 1) end,
  completed = function(count) return call('ZREVRANGE', completed, 0, count - 1) end,
  failed = function(count) return call('ZREVRANGE', failed, 0, count - 1) end,
  ['waiting-children'] = function(count) return call('ZRANGE', waiting_children, 0, count - 1) end,
}

local function state_of(id)
  local sets = {
    completed = completed, failed = failed, delayed = delayed, prioritized = prioritized,
    ['waiting-children'] = waiting_children,
  }
  for state, key in pairs(sets) do
    if call('ZSCORE', key, id) then
      return state
    end
  end
  if call('LPOS', active, id) then
    return 'active'
  end
  if call('LPOS', wait, id) or call('LPOS', KEYS[5], id) then
    return 'waiting'
  end
  return 'unknown'
end

local FIELDS = { 'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'processedOn',
  'finishedOn', 'failedReason', 'atm', 'ats', 'stc' }

local by_id = ARGV[2] == 'id'
local ids = by_id and { ARGV[3] } or states[ARGV[2]](tonumber(ARGV[3]))
local rows = {}
for _, id in ipairs(ids) do
  local fields = redis.pcall('HMGET', base .. id, unpack(FIELDS))
  if not fields.err and call('EXISTS', base .. id) == 1 then
    local row = { id, by_id and state_of(id) or ARGV[2] }
    for at = 1, #FIELDS do
      row[#row + 1] = fields[at]
    end
    rows[#rows + 1] = row
  end
end
return rows
