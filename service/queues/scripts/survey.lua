-- What one model version has queued, and who works on it, in one look.
--
-- KEYS 1 line (hash: bytes, ms)  2 wks (zset: worker -> expiry in ms)  3 lanes (hash: worker -> lanes)
--      4 dead letters (stream)  5.. streams, most urgent first
-- ARGV 1 group
--
-- Returns {bytes, ms per item, dead letters, {worker, lanes, ...} of the living, {length, ms that the oldest entry has
-- been there, {worker, leases, ...}} for each stream}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function oldest(stream)
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  return first and math.max(0, now - tonumber(first[1]:match('^%d+'))) or 0
end

local function leases(stream)
  local found, summary = {}, redis.pcall('XPENDING', stream, ARGV[1]) -- fails where no worker has made the group
  for _, consumer in ipairs(not summary.err and summary[4] or {}) do
    found[#found + 1] = consumer[1]
    found[#found + 1] = tonumber(consumer[2])
  end
  return found
end

local workers = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')) do
  workers[#workers + 1] = worker
  workers[#workers + 1] = tonumber(redis.call('HGET', KEYS[3], worker) or 0)
end
local streams = {}
for i = 5, #KEYS do streams[#streams + 1] = {redis.call('XLEN', KEYS[i]), oldest(KEYS[i]), leases(KEYS[i])} end
local line = redis.call('HMGET', KEYS[1], 'bytes', 'ms')
return {line[1] or '0', line[2] or '0', redis.call('XLEN', KEYS[4]), workers, streams}
