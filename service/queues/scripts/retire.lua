-- A worker serves one model version no more. When it was the last one, front-ends are to know it at once: the version
-- is then the latest no longer, and another one that has workers is.
--
-- KEYS 1 wks (zset)  2 lanes (hash)  3 line (hash: lanes)  4 models (zset: "name:version" -> newest beat's expiry)
-- ARGV 1 worker  2 "name:version"
--
-- Returns how many other workers live on.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
local sum = 0
for _, lanes in ipairs(redis.call('HVALS', KEYS[2])) do sum = sum + lanes end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HSET', KEYS[3], 'lanes', sum) end
local others = redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
if others == 0 then redis.call('ZADD', KEYS[4], 'XX', now, ARGV[2]) end
return others
