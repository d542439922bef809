-- Remove the consumers of workers that are gone and hold nothing. Looking and removing are one step: XGROUP
-- DELCONSUMER drops leases silently, and those of a worker that came in between would be lost.
--
-- KEYS 1 stream  2 wks (zset: worker -> expiry in ms)
-- ARGV 1 group
--
-- Returns how many were removed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local removed = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending = consumer[2], consumer[4]
  local alive = tonumber(redis.call('ZSCORE', KEYS[2], name) or 0) > now
  if pending == 0 and not alive then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    removed = removed + 1
  end
end
return removed
