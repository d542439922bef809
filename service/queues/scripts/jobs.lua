-- What the scripts of jobs have in common; scripts.py puts it before each of them.
--
-- The keys of a job, in this order wherever a script takes them:
--   job     hash    st, model, next (chunk), total, rel (released up to here), infl (in its stream), ok, err, w, p, ttl, ...
--   in      hash    index -> input without a result
--   bits    bitmap  one bit per item with a result: setting it is what decides who was first
--   res     stream  n, s, k, b of each result in the order they came, then `end`
-- Beside them: index (zset: job -> when it expires, ms) and held (hash: job -> bytes of its inputs).
-- All have a TTL. A job's starts anew with whatever happens to it; an abandoned one disappears by itself.
local JOB, IN, BITS, RES = 1, 2, 3, 4

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function prolong(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, string.format('%.0f', ttl)) end
end

local function touch(id, index, held, keys)
  local ttl = tonumber(redis.call('HGET', keys[JOB], 'ttl'))
  for _, key in ipairs(keys) do redis.call('PEXPIRE', key, ttl) end
  redis.call('ZADD', index, string.format('%.0f', clock() + ttl), id)
  prolong(index, ttl)
  prolong(held, ttl)
end

-- Strike off the jobs that have expired.
local function prune(index, held)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', string.format('%.0f', clock()))) do
    redis.call('ZREM', index, id)
    redis.call('HDEL', held, id)
  end
end

-- Release items to the stream until the job's window is full: about half a second of work of the lanes alive, so that
-- jobs get shares by weight, a small job does not wait for a large one, and cancelling leaves little behind. Without
-- lanes nothing is released: the last worker that leaves shall come to an end. The next one that comes calls job_mend.
local function pump(id, line, stream, keys)
  local job = redis.call('HMGET', keys[JOB], 'total', 'rel', 'infl', 'w', 'p', 'ttl')
  local total, released, flying = tonumber(job[1]), tonumber(job[2]), tonumber(job[3])
  local pace = redis.call('HMGET', line, 'lanes', 'ms')
  local each = math.min(512, math.max(128, 500 / math.max(0.1, tonumber(pace[2] or 10))))
  local window = each * tonumber(pace[1] or 0) * tonumber(job[4]) / 2
  if released == total or flying >= window then return end
  while flying < window and released < total do
    if redis.call('GETBIT', keys[BITS], released) == 0 then
      redis.call('XADD', stream, '*', 'v', 'j1', 'j', id, 'n', released, 'p', job[5])
      flying = flying + 1
    end
    released = released + 1
  end
  prolong(stream, tonumber(job[6]))
  redis.call('HSET', keys[JOB], 'rel', released, 'infl', flying)
end

local function finish(id, held, keys, state)
  redis.call('HSET', keys[JOB], 'st', state, 'ended', string.format('%.0f', clock()))
  redis.call('DEL', keys[IN])
  redis.call('HDEL', held, id)
  redis.call('XADD', keys[RES], '*', 'end', state)
end

-- Finish one leased entry: 1 when it gave the item its result. The acknowledgement comes first, see complete.lua.
local function settle(id, held, stream, keys, group, entry, n, status, name, body)
  if redis.call('XACK', stream, group, entry) == 0 then return 0 end
  if redis.call('XDEL', stream, entry) == 0 then return 0 end
  local state = redis.call('HGET', keys[JOB], 'st')
  if not state then return 0 end
  redis.call('HINCRBY', keys[JOB], 'infl', -1)
  if state ~= 'open' and state ~= 'running' then return 0 end
  if redis.call('SETBIT', keys[BITS], n, 1) == 1 then return 0 end
  redis.call('XADD', keys[RES], '*', 'n', n, 's', status, 'k', name, 'b', body)
  redis.call('HINCRBY', keys[JOB], status, 1)
  redis.call('HINCRBY', held, id, -redis.call('HSTRLEN', keys[IN], n))
  redis.call('HDEL', keys[IN], n)
  return 1
end

-- After items were finished: release others, or come to the end.
local function advance(id, index, held, line, stream, keys)
  local job = redis.call('HMGET', keys[JOB], 'st', 'ok', 'err', 'total')
  if not job[1] then return end
  if job[1] == 'running' and job[2] + job[3] == tonumber(job[4]) then
    finish(id, held, keys, 'done')
  elseif job[1] == 'open' or job[1] == 'running' then
    pump(id, line, stream, keys)
  end
  touch(id, index, held, keys)
end
