-- Replace one model's routing, unless somebody else has done so meanwhile.
-- KEYS[1] hash: model -> JSON of its record
-- ARGV: model, the record that is to be replaced ("" for none), the new one, TTL in ms
-- Returns 1, or 0 when it is another record by now.
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
-- A Redis that lost it learns it anew.
if found ~= ARGV[2] and found ~= '' then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
