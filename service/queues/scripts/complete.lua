-- Finish leased entries of one stream: the first finisher wins, whoever holds the lease by now.
--
-- XACK does not look at the consumer and returns 1 exactly once per delivered entry. It is also the first write, so
-- that Redis lets the whole script pass at maxmemory: finishing work is what frees memory.
--
-- KEYS 1 stream  the work
--      2 line    hash: bytes, ms (see submit.lua)
--      3..       streams of replies, one per front-end; they exist as long as their front-end lives
-- ARGV 1 group  2 measured service ms per item of one lane, 0 for none  3 longest reply stream
--      then for each entry: id, size, index of its reply stream from 1 (0: nobody is to be told), token, body
--
-- Returns one number per entry: 1 when this call finished it, 0 when it was finished, withdrawn or lost before.
local won = {}
for i = 4, #ARGV, 5 do
  local id, size, reply = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local first = redis.call('XACK', KEYS[1], ARGV[1], id)
  if first == 1 then
    first = redis.call('XDEL', KEYS[1], id)
    if first == 1 then
      redis.call('HINCRBY', KEYS[2], 'bytes', -size)
      if reply > 0 then
        redis.call('XADD', KEYS[2 + reply], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[3], '*', 'i', ARGV[i + 3], 'b', ARGV[i + 4])
      end
    end
  end
  won[#won + 1] = first
end
local took = tonumber(ARGV[2])
if took > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  local mean = tonumber(redis.call('HGET', KEYS[2], 'ms') or took)
  redis.call('HSET', KEYS[2], 'ms', string.format('%.4f', mean + (took - mean) * 0.1))
end
return won
