-- Take released leases: either some that never ran, or a single suspect, which is to run alone.
--
-- KEYS 1 stream
-- ARGV 1 group  2 worker  3 how many at most, then ids to leave alone (entries that this worker cannot read)
--
-- Returns a list of {id, deaths, fields}; deaths is 0 for all or more than 0 for the only one.
local leave = {}
for i = 4, #ARGV do leave[ARGV[i]] = true end
local room, taken, from = tonumber(ARGV[3]), {}, '-'
repeat
  local leases = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 100, 'released')
  for _, lease in ipairs(leases) do
    local id, deaths = lease[1], lease[4]
    from = '(' .. id
    if #redis.call('XRANGE', KEYS[1], id, id) == 0 then
      redis.call('XACK', KEYS[1], ARGV[1], id)
    elseif not leave[id] and not (deaths > 0 and #taken > 0) then
      local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)[1]
      taken[#taken + 1] = {id, deaths, entry[2]}
      if deaths > 0 or #taken == room then return taken end
    end
  end
until #leases < 100
return taken
