-- Finish leased entries of jobs: the first finisher wins, whoever holds the lease by now.
--
-- KEYS 1 index  2 held  3 line (hash: ms, see submit.lua)  4 stream
--      5.. job, in, bits, res of each job
-- ARGV 1 group  2 measured service ms per item of one lane, 0 for none  3 number of jobs, then their ids,
--      then for each entry: id, number of its job from 1, index, status ("ok" or "err"), name, body
--
-- Returns one number per entry: 1 when this call gave the item its result, 0 when it had one, or the job has ended.
local group, jobs, won = ARGV[1], tonumber(ARGV[3]), {}
local function keys_of(number) return {unpack(KEYS, 4 * number + 1, 4 * number + 4)} end

for i = 4 + jobs, #ARGV, 6 do
  local number = tonumber(ARGV[i + 1])
  won[#won + 1] = settle(ARGV[3 + number], KEYS[2], KEYS[4], keys_of(number), group, ARGV[i],
    ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
end
local took = tonumber(ARGV[2])
if took > 0 and redis.call('EXISTS', KEYS[3]) == 1 then
  local mean = tonumber(redis.call('HGET', KEYS[3], 'ms') or took)
  redis.call('HSET', KEYS[3], 'ms', string.format('%.4f', mean + (took - mean) * 0.1))
end
for number = 1, jobs do advance(ARGV[3 + number], KEYS[1], KEYS[2], KEYS[3], KEYS[4], keys_of(number)) end
return won
