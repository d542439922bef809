-- Which entries are not in their stream: finished, or forgotten by Redis. After a failover another request may have
-- been given the id of one that was lost.
--
-- KEYS 1 stream
-- ARGV 1 front-end, then for each entry: id, token
--
-- Returns their ids.
local function there(id, token)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not entry then return false end
  local of = {}
  for i = 1, #entry[2], 2 do of[entry[2][i]] = entry[2][i + 1] end
  return of.i == token and of.r == ARGV[1]
end

local lost = {}
for i = 2, #ARGV, 2 do
  if not there(ARGV[i], ARGV[i + 1]) then lost[#lost + 1] = ARGV[i] end
end
return lost
