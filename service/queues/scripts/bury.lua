-- Move one leased entry to the dead letters and tell its caller. The acknowledgement comes first, see complete.lua.
--
-- KEYS 1 stream  2 line (hash: bytes)  3 dead letters (stream)  4 replies (stream)
-- ARGV 1 group  2 id  3 size  4 token  5 body of the reply  6 longest stream of dead letters  7 its TTL (ms)
--      then fields and values of the dead letter
--
-- Returns 1 when this call buried it, 0 when it was finished before.
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'bytes', -ARGV[3])
redis.call('XADD', KEYS[4], 'NOMKSTREAM', '*', 'i', ARGV[4], 'b', ARGV[5])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', unpack(ARGV, 8))
redis.call('PEXPIRE', KEYS[3], ARGV[7])
return 1
