-- Log one prediction; what is older than its time or does not fit leaves.
--
-- KEYS 1 stream of records  2 hash: "r:"id -> record, "i:"id -> input  3 zset: id -> when it was logged (ms)
--      4 bytes of the hash's values
-- ARGV 1 id  2 record as JSON  3 input ("" when it is not kept)  4 TTL (ms)  5 most bytes of all records and inputs
--
-- Returns how many predictions left.
local ttl = tonumber(ARGV[4])
redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', clock() - ttl), '*', 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ttl)
local function fields(id) return {'r:' .. id, 'i:' .. id} end
local store = {values = KEYS[2], ages = KEYS[3], bytes = KEYS[4], fields = fields}
return keep(store, ARGV[1], {ARGV[2], ARGV[3]}, ttl, tonumber(ARGV[5]))
