-- Free what dead workers hold, and what living ones have held for too long without renewing it.
--
-- Freed leases belong to the consumer "released" and keep their delivery count, which is the number of deaths they
-- have seen; claim.lua hands them out. Does nothing when the reaper's own beat is stale: then Redis was frozen or its
-- clock was stepped, and every worker only looks dead.
--
-- KEYS 1 stream  2 wks (zset: worker -> expiry in ms)
-- ARGV 1 group  2 worker  3 TTL of a beat (ms)  4 how old the reaper's own beat may be (ms)
--      5 idle time after which a dead worker's lease is free (ms)  6 likewise a living one's  7 most leases to look at
--      then ids to leave alone (entries that this worker cannot read)
--
-- Returns {leases that wait in "released" for this worker, leases freed by this call or -1 when it held still, those
-- ids that are leased by anybody}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expiry = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or 0)

local function answer(freed)
  local released, leased = 0, {}
  for _, consumer in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1])[4] or {}) do
    if consumer[1] == 'released' then released = tonumber(consumer[2]) end
  end
  for i = 8, #ARGV do
    local lease = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
    if lease then
      leased[#leased + 1] = ARGV[i]
      if lease[2] == 'released' then released = released - 1 end
    end
  end
  return {released, freed, leased}
end
if now - (expiry - ARGV[3]) > tonumber(ARGV[4]) then return answer(-1) end

local freed, from = 0, '-'
repeat
  local leases = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[5], from, '+', ARGV[7])
  for _, lease in ipairs(leases) do
    local id, owner, idle = lease[1], lease[2], lease[3]
    local alive = tonumber(redis.call('ZSCORE', KEYS[2], owner) or 0) > now
    if #redis.call('XRANGE', KEYS[1], id, id) == 0 then
      if not alive then redis.call('XACK', KEYS[1], ARGV[1], id) end
    elseif owner ~= 'released' and (not alive or idle >= tonumber(ARGV[6])) then
      redis.call('XCLAIM', KEYS[1], ARGV[1], 'released', 0, id, 'JUSTID')
      freed = freed + 1
    end
    from = '(' .. id
  end
until #leases < tonumber(ARGV[7])
return answer(freed)
