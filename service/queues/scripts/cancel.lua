-- Withdraw entries: the caller has left or its deadline has passed.
--
-- An entry that was delivered leaves its lease behind; whoever holds it finds out at the next renewal or completion.
--
-- KEYS 1 stream  2 line (hash: bytes)
-- ARGV 1 group, then for each entry: id, size
--
-- Returns one number per entry: 1 withdrawn before anybody leased it, 2 withdrawn while leased, 0 already finished.
local withdrawn = {}
for i = 2, #ARGV, 2 do
  local leased = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  local found = redis.call('XDEL', KEYS[1], ARGV[i])
  if found == 1 then
    redis.call('HINCRBY', KEYS[2], 'bytes', -ARGV[i + 1])
    if not leased.err and #leased > 0 then found = 2 end
  end
  withdrawn[#withdrawn + 1] = found
end
return withdrawn
