-- Renew the leases of one caller's open calls.
--
-- KEYS 1 zset: call -> its lease's end, in us      ARGV 1 us that a lease lasts, then the calls
local time = redis.call('TIME')
local ends = time[1] * 1000000 + time[2] + tonumber(ARGV[1])
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.0f', ends), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[1]) / 1000) + 1000)
return #ARGV - 1
