-- What limits a queue. It writes nothing.
-- KEYS: meta, limiter

local meta = redis.call('HMGET', KEYS[1], 'version', 'concurrency', 'max', 'duration')
return {
  redis.call('EXISTS', KEYS[1]),
  meta[1],
  tonumber(meta[2] or nil) or false,
  tonumber(meta[3] or nil) or false,
  tonumber(meta[4] or nil) or false,
  tonumber(redis.call('GET', KEYS[2]) or nil) or false,
  redis.call('PTTL', KEYS[2]),
}
