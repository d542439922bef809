-- Move one leased entry of a job to the dead letters; the item's result says why.
--
-- KEYS 1 index  2 held  3 line  4 stream  5..8 job, in, bits, res  9 dead letters (stream)
-- ARGV 1 group  2 job  3 entry  4 index  5 name  6 body of the result  7 longest stream of dead letters  8 its TTL (ms)
--      then fields and values of the dead letter
--
-- Returns 1 when this call buried it, 0 when it was finished before.
local keys = {unpack(KEYS, 5, 8)}
local buried = settle(ARGV[2], KEYS[2], KEYS[4], keys, ARGV[1], ARGV[3], ARGV[4], 'err', ARGV[5], ARGV[6])
if buried == 1 then
  redis.call('XADD', KEYS[9], 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, 9))
  redis.call('PEXPIRE', KEYS[9], ARGV[8])
end
advance(ARGV[2], KEYS[1], KEYS[2], KEYS[3], KEYS[4], keys)
return buried
