"""What Redis does in one step, in its own language (Lua 5.1).

Rule: a script touches a bounded number of keys, and takes the time from Redis. A claim is one string: its owner, its
token, 1 when its peer is silent, and the millisecond until which it may be contested, with blanks between them.
"""

_NOW_MS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function claim(owner, token, silent, contest_until)
  return owner .. ' ' .. token .. ' ' .. silent .. ' ' .. string.format('%.0f', contest_until)
end
"""

# KEYS: the claim. ARGV: owner, token, lease ms, contest ms. 1 when granted.
TAKE = (
    _NOW_MS
    + """
local found = redis.call('GET', KEYS[1])
if found then
  local owner, silent = string.match(found, '^(%S+) %S+ (%d) ')
  if owner ~= ARGV[1] and silent ~= '1' then return 0 end
end
redis.call('SET', KEYS[1], claim(ARGV[1], ARGV[2], '0', now + ARGV[4]), 'PX', ARGV[3])
return 1
"""
)

# KEYS: claims. ARGV: owner, lease ms, contest ms, then token and silence of each. The places of those that are lost.
HOLD = (
    _NOW_MS
    + """
local lost = {}
for place, key in ipairs(KEYS) do
  local token, silent = ARGV[2 + 2 * place], ARGV[3 + 2 * place]
  local found = redis.call('GET', key)
  local contest_until = now + ARGV[3]
  local mine = true
  if found then
    local owner, other, _, till = string.match(found, '^(%S+) (%S+) (%d) (%d+)$')
    contest_until = tonumber(till)
    mine = owner == ARGV[1] or (now < contest_until and token < other)
  end
  if mine then
    redis.call('SET', key, claim(ARGV[1], token, silent, contest_until), 'PX', ARGV[2])
  else
    lost[#lost + 1] = place
  end
end
return lost
"""
)

# KEYS: claims. ARGV: owner, then the tokens of each, with blanks before, between and after them.
RELEASE = """
for place, key in ipairs(KEYS) do
  local found = redis.call('GET', key)
  if found then
    local owner, token = string.match(found, '^(%S+) (%S+) ')
    if owner == ARGV[1] and string.find(ARGV[1 + place], ' ' .. token .. ' ', 1, true) then
      redis.call('DEL', key)
    end
  end
end
return 0
"""

# KEYS: the snapshot, the set of boots. ARGV: boot, lease ms, then field and value of each part and of its number.
POST = """
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
return 1
"""

# KEYS: the snapshot. ARGV: field of a number, that number, lease ms. 1 when that is what is shown.
RENEW = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""

# KEYS: the set of boots. ARGV: what stands before a boot in the name of its snapshot, fields of numbers. Boots and
# their numbers, in turn.
NUMBERS = """
local found = {}
for _, boot in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local first = redis.call('HGET', ARGV[1] .. boot, ARGV[2])
  if first then
    found[#found + 1] = boot
    found[#found + 1] = first
    for place = 3, #ARGV do
      found[#found + 1] = redis.call('HGET', ARGV[1] .. boot, ARGV[place])
    end
  else
    redis.call('SREM', KEYS[1], boot)
  end
end
return found
"""

# KEYS: the times of the calls accepted last, oldest first. ARGV: how many, in which microseconds. The microseconds to
# wait, 0 when accepted. A clock that was put back by less than a period stands still until it has caught up.
ACCEPT = """
local time = redis.call('TIME')
local now, period = time[1] * 1000000 + time[2], tonumber(ARGV[2])
local newest = tonumber(redis.call('LINDEX', KEYS[1], -1) or 0)
if newest > now then
  if newest - now > period then redis.call('DEL', KEYS[1]) else now = newest end
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  local wait = tonumber(redis.call('LINDEX', KEYS[1], 0)) + period - now
  if wait > 0 then return string.format('%.0f', wait) end
  redis.call('LPOP', KEYS[1])
end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(period / 1000) + 1)
return '0'
"""

ALL = (TAKE, HOLD, RELEASE, POST, RENEW, NUMBERS, ACCEPT)
