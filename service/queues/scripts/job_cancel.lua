-- Compute no more of a job: its inputs go, and so does what waits in the stream or is leased.
--
-- KEYS 1 index  2 held  3 stream  4..7 job, in, bits, res
-- ARGV 1 id
--
-- Returns 1 when this call ended it, 0 when it had ended before or is gone.
local id, keys = ARGV[1], {unpack(KEYS, 4, 7)}
local state = redis.call('HGET', keys[JOB], 'st')
if state ~= 'open' and state ~= 'running' then return 0 end
finish(id, KEYS[2], keys, 'cancelled')
local from, entries = '-', nil
repeat
  entries = redis.call('XRANGE', KEYS[3], from, '+', 'COUNT', 1000)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    if fields[3] == 'j' and fields[4] == id then
      redis.call('XDEL', KEYS[3], entry[1])
      redis.call('HINCRBY', keys[JOB], 'infl', -1)
    end
    from = '(' .. entry[1]
  end
until #entries < 1000
touch(id, KEYS[1], KEYS[2], keys)
return 1
