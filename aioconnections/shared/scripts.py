"""The Lua scripts that run in Redis: one per operation, so that each is atomic.

Times are integers in microseconds, of the server's clock. It may be set back, so `_NOW` adds what it has lost: the time
that the scripts use never runs backwards. All keys of a namespace have one hash tag, so that a cluster keeps them
together; a key that is not used expires.

Keys, each with ``{namespace}:`` before its name:

========  =======================================================================================
state     hash: the clock (raw, shift), the rate (next, last, interval), the pause (held), the last outage (away_at,
          away_by) and the number of refused logins (refusals)
spare     sorted set: starts that were given back
clients   sorted set: clients by the time at which they were last seen
rates     hash: the time between two starts that each client allows, and its burst
waiting   sorted set: clients that were granted nothing, by the time at which that happened first
login:…   string: what is known about one login, by its keyed digest
========  =======================================================================================

The state is lost when Redis restarts without a copy on its disk. Other clients may then have starts that were granted
before, so the first start after that lies behind all of them.
"""

from __future__ import annotations

__all__ = ["CLAIM", "HOLD", "LEASE", "LEAVE", "RETURN", "SETTLE", "WENT_AWAY"]

_NOW = """
local time = redis.call('TIME')
local raw = time[1] * 1000000 + time[2]
local clock = redis.call('HMGET', KEYS[1], 'raw', 'shift')
local shift = tonumber(clock[2]) or 0
if clock[1] and raw < tonumber(clock[1]) then shift = shift + tonumber(clock[1]) - raw end
local now = raw + shift
redis.call('HSET', KEYS[1], 'raw', raw, 'shift', shift)
local function keep(until_)
  local left = redis.call('PTTL', KEYS[1])
  redis.call('PEXPIRE', KEYS[1], math.max(left, 600000, math.ceil((until_ - now) / 1000) + 60000))
end
"""

_STATE = """
local state = redis.call('HMGET', KEYS[1], 'next', 'last', 'interval', 'held', 'away_at', 'away_by', 'refusals')
local following, last, interval = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])
local held, away_at = tonumber(state[4]) or 0, tonumber(state[5]) or 0
"""

LEASE = (
    _NOW
    + _STATE
    + """
-- KEYS: state, spare, clients, rates, waiting
-- ARGV: client, number of starts, interval, burst, time of a lease, seconds until a silent client is forgotten,
--   time before which no start is of use to this client
local client, count, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local from = now + ARGV[7]

-- the clients, and the lowest rate that any of them allows
local silent = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[6] * 1000000, 'LIMIT', 0, 1000)
if #silent > 0 then
  redis.call('ZREM', KEYS[3], unpack(silent))
  redis.call('HDEL', KEYS[4], unpack(silent))
  redis.call('ZREM', KEYS[5], unpack(silent))
end
redis.call('HSET', KEYS[4], client, ARGV[3] .. ':' .. ARGV[4])
local slowest, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
for _, rate in ipairs(redis.call('HVALS', KEYS[4])) do
  local own, own_burst = string.match(rate, '(%d+):(%d+)')
  slowest, burst = math.max(slowest, tonumber(own)), math.min(burst, tonumber(own_burst))
end
local is_active = count > 0
if is_active or not redis.call('ZSCORE', KEYS[3], client) then
  redis.call('ZADD', KEYS[3], now, client)
else
  -- a client that needs nothing stays known, and takes no part in the lease of the others
  redis.call('ZADD', KEYS[3], math.max(now - 2000000, tonumber(redis.call('ZSCORE', KEYS[3], client))), client)
end
redis.call('PEXPIRE', KEYS[3], ARGV[6] * 1000)
redis.call('PEXPIRE', KEYS[4], ARGV[6] * 1000)
local active = math.max(1, redis.call('ZCOUNT', KEYS[3], now - 1000000, '+inf'))

if not following then  -- an empty store: starts that are not known here may lie ahead
  interval = slowest
  following = now + lease + burst * interval
  last = now + lease
elseif interval ~= slowest then  -- the old rate holds until the last granted start
  local since = math.max(now, last)
  following = math.ceil(since + math.max(0, following - since) / interval * slowest)
  interval = slowest
  redis.call('DEL', KEYS[2])
end

local granted, wait = {}, 0
local away = 0
if away_at > now - 5000000 and state[6] ~= client then away = away_at end
local blocked_until = math.max(held, away_at + 1000000)
if state[6] == client then blocked_until = held end
if count > 0 and now < blocked_until then
  wait = blocked_until - now
  following = math.max(following, blocked_until)
elseif count > 0 then
  -- first come, first served: an earlier client that waits and asks regularly has its share kept free
  local share = math.max(1, math.ceil(lease / interval / active))
  local first = redis.call('ZRANGE', KEYS[5], 0, 0)[1]
  while first and first ~= client and
      (tonumber(redis.call('ZSCORE', KEYS[3], first)) or 0) < now - 3 * lease do
    redis.call('ZREM', KEYS[5], first)
    first = redis.call('ZRANGE', KEYS[5], 0, 0)[1]
  end
  local since = tonumber(redis.call('ZSCORE', KEYS[5], client)) or now
  local kept = share * redis.call('ZCOUNT', KEYS[5], '-inf', '(' .. string.format('%.0f', since))
  count = math.min(count, share)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', now))
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], from, now + lease, 'LIMIT', 0, count)) do
    table.insert(granted, string.match(member, '^%d+'))
    redis.call('ZREM', KEYS[2], member)
  end
  while #granted < count do
    local start
    if following <= from then
      start, following = math.max(from, last), from
    else
      start = math.max(from, last, following - (burst - 1) * interval)
    end
    if start + kept * interval > now + lease then
      wait = math.min(start + kept * interval - now - lease, lease)
      break
    end
    following = math.max(following, start) + interval
    last = start
    table.insert(granted, string.format('%.0f', start))
  end
end
if #granted > 0 then
  redis.call('ZREM', KEYS[5], client)
elseif count > 0 then
  redis.call('ZADD', KEYS[5], 'NX', now, client)
  redis.call('PEXPIRE', KEYS[5], ARGV[6] * 1000)
end
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', following), 'last', string.format('%.0f', last),
  'interval', string.format('%.0f', interval))
keep(math.max(following + burst * interval, held))
return {
  string.format('%.0f', now), string.format('%.0f', interval), string.format('%.0f', math.max(0, wait)),
  string.format('%.0f', math.max(0, held - now)), string.format('%.0f', away), state[7] or '0',
  table.concat(granted, ' ')  -- one text, because redis-py reads each element of a list on its own
}
"""
)

RETURN = (
    _NOW
    + _STATE
    + """
-- KEYS: state, spare
-- ARGV: client, interval for which the starts were granted, then the starts
if interval and math.abs(interval - ARGV[2]) < 2 then
  for number = 3, #ARGV do
    local start = ARGV[number]
    if tonumber(start) > now then redis.call('ZADD', KEYS[2], start, start .. ':' .. ARGV[1] .. number) end
  end
  redis.call('PEXPIRE', KEYS[2], 60000)
end
keep(math.max(following or 0, held))
"""
)

LEAVE = """
-- KEYS: clients, rates, waiting; ARGV: client
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
"""

HOLD = (
    _NOW
    + _STATE
    + """
-- KEYS: state; ARGV: microseconds
held = math.max(held, now + ARGV[1])
redis.call('HSET', KEYS[1], 'held', string.format('%.0f', held))
keep(math.max(following or 0, held))
"""
)

WENT_AWAY = (
    _NOW
    + _STATE
    + """
-- KEYS: state; ARGV: client
redis.call('HSET', KEYS[1], 'away_at', string.format('%.0f', now), 'away_by', ARGV[1])
keep(math.max(following or 0, held))
"""
)

CLAIM = """
-- KEYS: login; ARGV: client, milliseconds
local known = redis.call('GET', KEYS[1])
local own = 'proving:' .. ARGV[1]
if not known or known == own then
  redis.call('SET', KEYS[1], own, 'PX', ARGV[2])
  return {own, '0'}
end
return {known, tostring(redis.call('PTTL', KEYS[1]))}
"""

SETTLE = (
    _NOW
    + """
-- KEYS: state, login; ARGV: client, what is known now, or '' for nothing, milliseconds
local known = redis.call('GET', KEYS[2])
if string.find(ARGV[2], '^refused') then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'refusals', 1)
elseif known and string.find(known, '^refused') then
  return  -- a refusal stands until it expires
elseif ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
elseif known == 'proving:' .. ARGV[1] then
  redis.call('DEL', KEYS[2])
end
keep(now)
"""
)
