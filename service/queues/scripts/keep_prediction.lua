-- Log one prediction; what is older than its time or does not fit leaves.
-- KEYS[1] stream of records    KEYS[2] hash: "r:"id -> record, "i:"id -> input
-- KEYS[3] zset: id -> when it was logged, in ms    KEYS[4] bytes of the hash's values
-- ARGV: id, record as JSON, input ("" when it is not kept), TTL in ms, most bytes of all records and inputs
-- Returns how many predictions left.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = 0

local function drop(id)
  for _, field in ipairs({ 'r:' .. id, 'i:' .. id }) do
    redis.call('DECRBY', KEYS[4], redis.call('HSTRLEN', KEYS[2], field))
    redis.call('HDEL', KEYS[2], field)
  end
  redis.call('ZREM', KEYS[3], id)
  left = left + 1
end

redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', now - ARGV[4]), '*', 'record', ARGV[2])
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  drop(ARGV[1])
  left = 0
end
-- A bounded number, lest one record has to wait for the end of a million others.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[4], 'LIMIT', 0, 100)) do
  drop(id)
end
redis.call('HSET', KEYS[2], 'r:' .. ARGV[1], ARGV[2], 'i:' .. ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[3], now, ARGV[1])
local bytes = redis.call('INCRBY', KEYS[4], #ARGV[2] + #ARGV[3])
while bytes > tonumber(ARGV[5]) do
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
  if not oldest then
    break
  end
  drop(oldest)
  bytes = tonumber(redis.call('GET', KEYS[4]))
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[4])
end
return left
