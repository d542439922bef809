-- Begin a job, unless its idempotency key was used before.
--
-- KEYS 1 index  2 held  3..6 job, in, bits, res  7 what the idempotency key stands for (string: a job's id), if any
-- ARGV 1 id  2 TTL (ms)  3 how many jobs there may be, then fields and values of the job
--
-- Returns {"OK", id}, {"OLD", id of that job} or {"FULL", number of jobs}.
prune(KEYS[1], KEYS[2])
if KEYS[7] then
  local old = redis.call('GET', KEYS[7])
  if old then return {'OLD', old} end
end
local jobs = redis.call('ZCARD', KEYS[1])
if jobs >= tonumber(ARGV[3]) then return {'FULL', jobs} end
local keys = {unpack(KEYS, 3, 6)}
redis.call('HSET', keys[JOB], 'st', 'open', 'next', 0, 'total', 0, 'rel', 0, 'infl', 0, 'ok', 0, 'err', 0,
  'ttl', ARGV[2], 'created', string.format('%.0f', clock()), unpack(ARGV, 4))
if KEYS[7] then redis.call('SET', KEYS[7], ARGV[1], 'PX', ARGV[2]) end
touch(ARGV[1], KEYS[1], KEYS[2], keys)
return {'OK', ARGV[1]}
