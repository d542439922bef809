-- Keep one answer of the response cache; what is older than its time or does not fit leaves.
-- KEYS[1] hash: key -> answer    KEYS[2] zset: key -> when it was kept, in ms    KEYS[3] bytes of all answers
-- ARGV: key, answer, TTL in ms, most bytes of all answers
-- Returns how many answers left.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = 0

local function drop(key)
  redis.call('DECRBY', KEYS[3], redis.call('HSTRLEN', KEYS[1], key))
  redis.call('HDEL', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
  left = left + 1
end

if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  drop(ARGV[1])
  left = 0
end
-- A bounded number, lest one answer has to wait for the end of a million others.
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3], 'LIMIT', 0, 100)) do
  drop(key)
end
if #ARGV[2] > tonumber(ARGV[4]) then
  return left
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
local bytes = redis.call('INCRBY', KEYS[3], #ARGV[2])
while bytes > tonumber(ARGV[4]) do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then
    break
  end
  drop(oldest)
  bytes = tonumber(redis.call('GET', KEYS[3]))
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[3])
end
return left
