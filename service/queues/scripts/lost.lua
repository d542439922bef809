-- Which entries are not in their stream: finished, or forgotten by Redis.
--
-- KEYS 1 stream
-- ARGV ids
local lost = {}
for _, id in ipairs(ARGV) do
  if #redis.call('XRANGE', KEYS[1], id, id) == 0 then lost[#lost + 1] = id end
end
return lost
