-- Keep one answer of the response cache; what is older than its time or does not fit leaves.
--
-- KEYS 1 hash: key -> answer  2 zset: key -> when it was kept (ms)  3 bytes of all answers
-- ARGV 1 key  2 answer  3 TTL (ms)  4 most bytes of all answers
--
-- Returns how many answers left.
local store = {values = KEYS[1], ages = KEYS[2], bytes = KEYS[3], fields = function(key) return {key} end}
return keep(store, ARGV[1], {ARGV[2]}, tonumber(ARGV[3]), tonumber(ARGV[4]))
