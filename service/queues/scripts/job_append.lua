-- Take the next chunk of a job's inputs; one that was taken before changes nothing.
--
-- KEYS 1 index  2 held  3 line  4 stream  5..8 job, in, bits, res
-- ARGV 1 id  2 number of the chunk  3 most bytes of inputs of all jobs  4 most items of a job  5 name of the last item
--      6.. the inputs
--
-- Returns {"OK", next chunk, items}, {"GONE"}, {"GAP", next chunk}, {"ENDED", state}, {"BYTES", held by all jobs} or
-- {"ITEMS", items so far}.
local keys, chunk = {unpack(KEYS, 5, 8)}, tonumber(ARGV[2])
local job = redis.call('HMGET', keys[JOB], 'st', 'next', 'total')
if not job[1] then return {'GONE'} end
local next, total = tonumber(job[2]), tonumber(job[3])
if chunk < next then return {'OK', next, total} end
if job[1] ~= 'open' then return {'ENDED', job[1]} end
if chunk > next then return {'GAP', next} end

local count, size, sum = #ARGV - 5, 0, 0
if total + count > tonumber(ARGV[4]) then return {'ITEMS', total} end
for i = 6, #ARGV do size = size + #ARGV[i] end
prune(KEYS[1], KEYS[2])
for _, bytes in ipairs(redis.call('HVALS', KEYS[2])) do sum = sum + bytes end
if sum + size > tonumber(ARGV[3]) then return {'BYTES', sum} end

for i = 6, #ARGV do redis.call('HSET', keys[IN], total + i - 6, ARGV[i]) end
redis.call('HINCRBY', KEYS[2], ARGV[1], size)
redis.call('HSET', keys[JOB], 'next', next + 1, 'total', total + count, 'last', ARGV[5])
pump(ARGV[1], KEYS[3], KEYS[4], keys)
touch(ARGV[1], KEYS[1], KEYS[2], keys)
return {'OK', next + 1, total + count}
