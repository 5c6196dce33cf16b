-- One turn of one process at the gate of one model. Atomic, by the server's clock, milliseconds.
--
-- KEYS: gate (hash), processes (hash: process -> "calls in flight:expiry")
-- ARGV: process, calls in flight, successes, throttled, failures, retry-after,
--       requests a minute (0: unknown), tokens a minute (0: unknown), tokens of each waiting call...
-- Returns: granted, wait until the next turn is worth while, in flight everywhere, ceiling (0: none),
--          blocked for, failing for, share of throttled calls (per mille), open for probes only (0 or 1)

local PROCESS_LEASE, KEPT = 15000, 3600 * 1000
local SHARE_MEMORY, PRESSURE = 0.95, 0.1
local SLOWER, COOLDOWN, SUCCESSES_A_STEP = 0.75, 1000, 25
local BREAK_FAILURES, BREAK_AFTER, PROBE_EVERY, FORGET_FAILING = 10, 15000, 5000, 300000
local STREAK, FEW, FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PROBED = 10, 4, 500, 30000, 5000
local LONGEST_BLOCK, BURST, USED = 300000, 1000, 59 / 60

local gate, processes = KEYS[1], KEYS[2]
local process, in_flight = ARGV[1], tonumber(ARGV[2])
local successes, throttled, failures = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local retry_after = math.min(tonumber(ARGV[6]), LONGEST_BLOCK)
local limits = { tonumber(ARGV[7]), tonumber(ARGV[8]) }

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local names = { 'ceiling', 'cooled', 'share', 'blocked', 'failing', 'failed', 'failures', 'probe', 'requests', 'tokens', 'broken', 'streak', 'setbacks' }
local state = {}
for place, value in ipairs(redis.call('HMGET', gate, unpack(names))) do
  state[names[place]] = tonumber(value) or 0
end

local elsewhere = 0
local found = redis.call('HGETALL', processes)
for place = 1, #found, 2 do
  local calls, expiry = string.match(found[place + 1], '(%d+):(%d+)')
  if tonumber(expiry) < now then
    redis.call('HDEL', processes, found[place])
  elseif found[place] ~= process then
    elsewhere = elsewhere + tonumber(calls)
  end
end

-- What has come back since the last turn.
local answered = successes + throttled
if answered > 0 then
  local old = SHARE_MEMORY ^ answered
  state.share = state.share * old + (1 - old) * throttled / answered
end
if throttled > 0 and state.share > PRESSURE then
  state.blocked = math.max(state.blocked, now + retry_after)
  if now >= state.cooled + COOLDOWN then
    local busy = elsewhere + in_flight + answered
    local ceiling = state.ceiling > 0 and math.min(state.ceiling, busy) or busy
    state.ceiling = math.max(1, ceiling * SLOWER)
    state.cooled = now
  end
end
if successes > 0 then
  state.failing, state.failures, state.streak, state.setbacks = 0, 0, 0, 0
  if state.ceiling > 0 then
    state.ceiling = state.ceiling + successes / SUCCESSES_A_STEP
    -- Far above what is in use it holds nothing back.
    if state.ceiling > 4 * (elsewhere + in_flight) + 64 then state.ceiling = 0 end
  end
elseif failures > 0 then
  if state.failing == 0 or now - state.failed > FORGET_FAILING then
    state.failing, state.failures = now, 0
  end
  state.failures = state.failures + failures
  state.failed = now
end

-- Where nothing succeeds at all, nobody goes for a while, twice as long each time, and then only a few.
if successes == 0 and throttled + failures > 0 then
  state.streak = state.streak + throttled + failures
  if state.streak >= STREAK and now >= state.blocked then
    local pause = FIRST_PAUSE * 2 ^ math.min(state.setbacks, 10) * (0.75 + now % 500 / 1000)
    state.blocked = now + math.min(pause, throttled > 0 and LONGEST_PAUSE or LONGEST_PROBED)
    state.setbacks = state.setbacks + 1
  end
end
local ceiling = state.ceiling
if state.streak >= STREAK then
  ceiling = ceiling > 0 and math.min(ceiling, FEW) or FEW
end

-- Who may go. Pacing is a generic cell rate algorithm: a little below the limit, with a burst of one second.
local broken = state.failures >= BREAK_FAILURES and now - state.failing >= BREAK_AFTER
state.broken = broken and 1 or 0
local paces = { 'requests', 'tokens' }
local granted, wait = 0, 1000
for place = 9, #ARGV do
  if now < state.blocked then
    wait = state.blocked - now
    break
  end
  if broken then
    if now < state.probe then
      wait = state.probe - now
      break
    end
    state.probe = now + PROBE_EVERY
  end
  if ceiling > 0 and elsewhere + in_flight + granted >= math.floor(ceiling) then
    break
  end
  local amounts, ready, soonest = { 1, tonumber(ARGV[place]) }, {}, 0
  for kind = 1, 2 do
    if limits[kind] > 0 then
      local cost = amounts[kind] * 60000 / (limits[kind] * USED)
      ready[kind] = math.max(state[paces[kind]], now) + cost
      soonest = math.max(soonest, ready[kind] - now - math.max(BURST, cost))
    end
  end
  if soonest >= 1 then -- under a millisecond is rounding
    wait = math.ceil(soonest)
    break
  end
  for kind = 1, 2 do
    state[paces[kind]] = ready[kind] or 0
  end
  granted = granted + 1
end

local fields = {}
for _, name in ipairs(names) do
  fields[#fields + 1] = name
  fields[#fields + 1] = string.format('%.6f', state[name])
end
redis.call('HSET', gate, unpack(fields))
redis.call('HSET', processes, process, string.format('%d:%d', in_flight + granted, now + PROCESS_LEASE))
redis.call('PEXPIRE', gate, KEPT)
redis.call('PEXPIRE', processes, KEPT)

return {
  granted,
  wait,
  elsewhere + in_flight + granted,
  math.floor(ceiling),
  math.max(0, state.blocked - now),
  state.failing > 0 and now - state.failing or 0,
  math.floor(state.share * 1000),
  state.broken,
}
