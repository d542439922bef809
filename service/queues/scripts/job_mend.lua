-- Release what a job's window has room for, and again what the job counts as in flight while its stream does not hold
-- it: the stream of a model version disappears a day after its last worker, and somebody may delete it by hand.
--
-- KEYS 1 line  2 stream  3..6 job, in, bits, res
-- ARGV 1 id
--
-- Returns how many items were released again.
local id, keys = ARGV[1], {unpack(KEYS, 3, 6)}
local job = redis.call('HMGET', keys[JOB], 'st', 'infl', 'rel', 'p', 'ttl')
if job[1] ~= 'open' and job[1] ~= 'running' then return 0 end
local there, count, from, entries = {}, 0, '-', nil
repeat
  entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 1000)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    if fields[3] == 'j' and fields[4] == id then there[fields[6]], count = true, count + 1 end
    from = '(' .. entry[1]
  end
until #entries < 1000
if count == tonumber(job[2]) then
  pump(id, KEYS[1], KEYS[2], keys)
  return 0
end
local again, first = 0, redis.call('BITPOS', keys[BITS], 0)
for n = math.max(0, first), job[3] - 1 do
  if redis.call('GETBIT', keys[BITS], n) == 0 and not there[tostring(n)] then
    redis.call('XADD', KEYS[2], '*', 'v', 'j1', 'j', id, 'n', n, 'p', job[4])
    again = again + 1
  end
end
redis.call('HSET', keys[JOB], 'infl', count + again)
if again > 0 then prolong(KEYS[2], tonumber(job[5])) end
pump(id, KEYS[1], KEYS[2], keys)
return again
