-- What one model version has admitted and not yet answered.
--
-- KEYS 1 line (hash: bytes)  2.. its streams
--
-- Returns {entries, bytes}.
local entries = 0
for i = 2, #KEYS do entries = entries + redis.call('XLEN', KEYS[i]) end
return {entries, tonumber(redis.call('HGET', KEYS[1], 'bytes') or 0)}
