-- Keep leases of one stream, and learn which of them are void.
--
-- Only the owner renews (a blind XCLAIM would steal back what another worker took), and JUSTID leaves the delivery
-- count alone, which counts deaths.
--
-- KEYS 1 stream
-- ARGV 1 group  2 worker  3 how many of the ids are to be renewed and not only looked at, then the ids
--
-- Returns {ids that belong to somebody else or nobody, ids whose caller has withdrawn them}.
local lost, gone = {}, {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local lease = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if not lease or lease[2] ~= ARGV[2] then
    lost[#lost + 1] = id
  elseif #redis.call('XRANGE', KEYS[1], id, id) == 0 then
    gone[#gone + 1] = id
  elseif i < 4 + tonumber(ARGV[3]) then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
  end
end
return {lost, gone}
