-- Hold one caller to its allowance over all front-ends: the generic cell rate algorithm (ITU-T I.371) for requests and
-- for bytes, and leases for the calls that are open.
--
-- KEYS 1 hash: when the caller's next request ("r") and next byte ("b") are due, in us   2 zset: call -> its lease's end
-- ARGV 1 us that one request costs  2 us that these bytes cost  3 calls at once ("inf" for any)  4 the call, "" for none
--      5 us that a lease lasts  6 us that a caller may be ahead
--
-- Returns {verdict, us to wait}: "OK", or "RATE", "BYTES", "CONCURRENCY"; then nothing was counted.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = redis.call('HMGET', KEYS[1], 'r', 'b')
local costs = {tonumber(ARGV[1]), tonumber(ARGV[2])}
local burst = tonumber(ARGV[6])
if ARGV[4] ~= '' and ARGV[3] ~= 'inf' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
    return {'CONCURRENCY', 0}
  end
end
for i, verdict in ipairs({'RATE', 'BYTES'}) do
  local from = math.max(tonumber(due[i] or 0), now)
  local wait = from + math.min(costs[i], burst) - now - burst
  if wait > 0 then
    return {verdict, math.ceil(wait)}
  end
  due[i] = from + costs[i]
end
-- %.0f, since Lua would write such numbers with an exponent and lose their last digits.
redis.call('HSET', KEYS[1], 'r', string.format('%.0f', due[1]), 'b', string.format('%.0f', due[2]))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(due[1], due[2]) - now) / 1000) + 1)
if ARGV[4] ~= '' and ARGV[3] ~= 'inf' then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[5])), ARGV[4])
  redis.call('PEXPIRE', KEYS[2], math.ceil(tonumber(ARGV[5]) / 1000) + 1000)
end
return {'OK', 0}
