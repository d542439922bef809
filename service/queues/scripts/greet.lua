-- A front-end says that it lives, by keeping the stream that its answers come by.
--
-- KEYS 1 replies (stream)
-- ARGV 1 TTL (ms)  2 id of the last reply that was read
--
-- Returns 1 when the stream was there, 0 when it had to be made: then answers may have been dropped.
local there = redis.call('EXISTS', KEYS[1])
if there == 0 then
  redis.call('XADD', KEYS[1], '*', 'h', '')
else
  redis.call('XTRIM', KEYS[1], 'MINID', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return there
