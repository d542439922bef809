-- Give up one worker's leases of one stream: on SIGTERM and after a broken read by itself, after a crash by its
-- supervisor.
--
-- KEYS 1 stream
-- ARGV 1 group  2 worker  3 deaths to forgive per lease (1: it never ran; 0: it may have killed the worker)
--      then the ids to keep
--
-- Returns how many leases were released.
local keep = {}
for i = 4, #ARGV do keep[ARGV[i]] = true end
local count, from = 0, '-'
repeat
  local leases = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 100, ARGV[2])
  for _, lease in ipairs(leases) do
    local id, deaths = lease[1], math.max(0, lease[4] - ARGV[3])
    if not keep[id] then
      if #redis.call('XRANGE', KEYS[1], id, id) == 0 then
        redis.call('XACK', KEYS[1], ARGV[1], id)
      else
        redis.call('XCLAIM', KEYS[1], ARGV[1], 'released', 0, id, 'RETRYCOUNT', deaths, 'JUSTID')
        count = count + 1
      end
    end
    from = '(' .. id
  end
until #leases < 100
return count
