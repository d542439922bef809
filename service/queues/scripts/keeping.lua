-- What the scripts that keep something for a while have in common; scripts.py puts it before each of them.
--
-- A store is {values = hash, ages = zset: id -> when it was kept (ms), bytes = string: bytes of the hash's values,
-- fields = function: id -> the fields of the hash that belong to it}.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function drop(store, id)
  for _, field in ipairs(store.fields(id)) do
    redis.call('DECRBY', store.bytes, redis.call('HSTRLEN', store.values, field))
    redis.call('HDEL', store.values, field)
  end
  redis.call('ZREM', store.ages, id)
end

-- Keep values under the fields of an id, instead of those before; what is older than `ttl` ms, or does not fit into
-- `most` bytes beside it, leaves. Values that are larger by themselves are not kept. Returns how many ids left.
local function keep(store, id, values, ttl, most)
  local now, left, size = clock(), 0, 0
  if redis.call('ZSCORE', store.ages, id) then drop(store, id) end
  -- A bounded number, lest one caller has to wait for the end of a million others.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', store.ages, '-inf', now - ttl, 'LIMIT', 0, 100)) do
    drop(store, old)
    left = left + 1
  end
  for _, value in ipairs(values) do size = size + #value end
  if size > most then return left end
  for i, field in ipairs(store.fields(id)) do redis.call('HSET', store.values, field, values[i]) end
  redis.call('ZADD', store.ages, now, id)
  local bytes = redis.call('INCRBY', store.bytes, size)
  while bytes > most do
    local oldest = redis.call('ZRANGE', store.ages, 0, 0)[1]
    if not oldest then break end
    drop(store, oldest)
    left = left + 1
    bytes = tonumber(redis.call('GET', store.bytes))
  end
  for _, key in ipairs({store.values, store.ages, store.bytes}) do redis.call('PEXPIRE', key, ttl) end
  return left
end
