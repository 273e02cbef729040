-- What a Redis says of itself, asked through a key of the queue, so that in a cluster the node that
-- holds the queue answers. It writes nothing.
-- KEYS: meta; ARGV: sections of INFO

local said = {}
for at, section in ipairs(ARGV) do
  local text = redis.pcall('INFO', section)
  said[at] = type(text) == 'string' and text or ''
end
local clock = redis.call('TIME')
local meta = redis.call('HMGET', KEYS[1], 'version', 'paused')
return {
  clock[1] * 1000 + math.floor(clock[2] / 1000),
  table.concat(said, '\n'),
  redis.call('EXISTS', KEYS[1]),
  meta[1],
  meta[2] and 1 or 0,
}
