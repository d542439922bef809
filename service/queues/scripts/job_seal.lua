-- No more chunks come.
--
-- KEYS 1 index  2 held  3 line  4 stream  5..8 job, in, bits, res
-- ARGV 1 id  2 how many chunks there are
--
-- Returns {"OK"}, {"GONE"} or {"GAP", next chunk}.
local keys = {unpack(KEYS, 5, 8)}
local job = redis.call('HMGET', keys[JOB], 'st', 'next')
if not job[1] then return {'GONE'} end
if tonumber(job[2]) ~= tonumber(ARGV[2]) then return {'GAP', tonumber(job[2])} end
if job[1] == 'open' then
  redis.call('HSET', keys[JOB], 'st', 'running')
  advance(ARGV[1], KEYS[1], KEYS[2], KEYS[3], KEYS[4], keys)
end
return {'OK'}
