-- Admit one request, or say why not. Redis TIME is the only clock.
--
-- KEYS 1 line   hash    bytes: payload bytes queued; ms: mean service time per item of one lane; lanes: lanes alive
--      2 wks    zset    worker -> when its beat expires (ms)
--      3 own    stream  where the entry goes; one of the following
--      4..      stream  the streams of the model version whose work goes first or is as urgent, most urgent first
--      last..   stream  (from KEYS[4 + ahead]) the less urgent ones
-- ARGV 1 ahead (how many of KEYS[4..] are as urgent)  2 max entries in these  3 max bytes  4 remaining ms, -1 without deadline
--      5 TTL of the stream (ms)  6 payload size  7 schema  8 token  9 front-end  10 params  11 payload
--      12 1 when it was handed in before, and Redis has lost it or has not said so: then it is not refused
--
-- Returns {"OK", entry id} or {reason, entries as urgent, bytes, estimated wait in ms}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local size, left = tonumber(ARGV[6]), tonumber(ARGV[4])

local entries, ahead = 0, 0
for i = 4, #KEYS do
  local length = redis.call('XLEN', KEYS[i])
  entries = entries + length
  if i < 4 + tonumber(ARGV[1]) then ahead = ahead + length end
end
local line = redis.call('HMGET', KEYS[1], 'bytes', 'ms', 'lanes')
local bytes = tonumber(line[1] or 0)
-- An estimate is a mean; who is admitted on the strength of it alone is late half of the time.
local wait = 1.25 * ahead * tonumber(line[2] or 0) / math.max(1, tonumber(line[3] or 1))

local refused
if redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') == 0 then refused = 'NO_WORKERS'
elseif ahead >= tonumber(ARGV[2]) then refused = 'FULL'
elseif bytes + size > tonumber(ARGV[3]) then refused = 'BYTES'
elseif left >= 0 and wait > left then refused = 'LATE' end
if refused and ARGV[12] == '0' then return {refused, ahead, bytes, math.ceil(wait)} end

local deadline = left >= 0 and now + left or 0
local id = redis.call('XADD', KEYS[3], '*', 'v', ARGV[7], 'i', ARGV[8], 'd', string.format('%.0f', deadline),
  'r', ARGV[9], 's', ARGV[6], 'p', ARGV[10], 'x', ARGV[11])
if entries == 0 then
  redis.call('HSET', KEYS[1], 'bytes', size) -- also mends the count after somebody deleted a stream by hand
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
else
  redis.call('HINCRBY', KEYS[1], 'bytes', size)
end
return {'OK', id}
