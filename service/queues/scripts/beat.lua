-- A worker says that it lives and serves one model version; whoever has stopped saying so is struck off.
--
-- KEYS 1 wks    zset    worker -> when its beat expires (ms)
--      2 lanes  hash    worker -> its number of lanes
--      3 line   hash    lanes: the sum over the living
--      4 models zset    "name:version" -> when the newest beat for it expires (ms); kept for the TTL of the keys
--      5 about  string  what the model version is, as JSON
--      6..      streams of the model version
-- ARGV 1 worker  2 lanes  3 TTL of the beat (ms)  4 TTL of the keys (ms)  5 "name:version"  6 group  7 JSON or ''
--
-- Returns {now in ms, when this worker's last beat was to expire or 0, whether `about` is there}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0'

for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], dead)
  redis.call('HDEL', KEYS[2], dead)
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local sum = 0
for _, lanes in ipairs(redis.call('HVALS', KEYS[2])) do sum = sum + lanes end
redis.call('HSET', KEYS[3], 'lanes', sum)
redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[4])
if ARGV[7] ~= '' then redis.call('SET', KEYS[5], ARGV[7]) end
for i = 6, #KEYS do
  redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[6], '0', 'MKSTREAM') -- fails where the group is there, as it should be
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
return {string.format('%.0f', now), last, redis.call('EXISTS', KEYS[5])}
