local function input(changes)
  return merge({
    now = 10000,
    pool = { name = "python", min = 1, max = 200, size = 10 },
    pods = { available = 10, assigned = 0, pending = 0, recycling = 0 },
    demand = { claimsPerSecond = 4, missesPerSecond = 0, claimsPerSecondPeak = 9 },
    history = {},
    refillP50Ms = 1000,
    refillP95Ms = 1000,
    lastScaleAt = 0,
  }, changes)
end
-- Every ten seconds from 9800 on.
local function samples(...)
  local list = {}
  for i, sample in ipairs({ { claims = 0 }, ... }) do
    list[i] = merge({ at = 9790 + 10 * i, misses = 0, claimsPeak = 0, size = 10 }, sample)
  end
  return list
end

return {
  -- 4/s * 1.1 * 1 s = 4.4; 4.4 + 2.06 * sqrt(4.4) = 8.7; and one
  { name = "rate, refill and chance", input = input({ pool = { size = 1 } }), expect = { size = 10, reason = "4.4 claims/s and 1 s to refill want 10" } },
  { name = "surer costs more", input = input({}), params = { hitRatio = 0.999 }, expect = { size = 12 } },
  { name = "less sure costs less", input = input({ pool = { size = 1 } }), params = { hitRatio = 0.6 }, expect = { size = 8 } },
  { name = "a slow refill", input = input({ refillP50Ms = 10000, refillP95Ms = 10000 }), expect = { size = 59 } },
  { name = "a refill that was never measured", input = input({ pool = { size = 1 }, refillP50Ms = 0, refillP95Ms = 0 }), expect = { size = 10 } },
  {
    name = "the busiest half minute of the window",
    input = input({ history = samples({ claims = 100 }, { claims = 100 }, { claims = 100 }, { claims = 0 }, { claims = 0 }) }),
    expect = { size = 19, reason = "11 claims/s and 1 s to refill want 19" },
  },
  { name = "nobody comes: slowly to min", input = input({ demand = { claimsPerSecond = 0 } }), expect = { size = 8 } },
  { name = "and then min", input = input({ demand = { claimsPerSecond = 0 }, pool = { size = 1 } }), expect = { size = 1 } },
  { name = "not again right after", input = input({ demand = { claimsPerSecond = 0 }, lastScaleAt = 9950 }), expect = { size = 10 } },
  { name = "a little too many stay", input = input({ pool = { size = 13 } }), expect = { size = 13 } },
  { name = "never above max", input = input({ demand = { claimsPerSecond = 1000 } }), expect = { size = 200 } },
  {
    name = "bursts",
    input = input({ demand = { claimsPerSecond = 0.3 }, history = samples({ claims = 20, claimsPeak = 20 }) }),
    expect = { size = 20, reason = "20 claims at once want 20" },
  },
  {
    name = "misses teach",
    input = input({ history = samples({ claims = 30, misses = 15, claimsPeak = 5 }) }),
    expect = { size = 20, reason = "claims that missed want 20" },
  },
  { name = "as few as are meant do not", input = input({ history = samples({ claims = 100, misses = 1, claimsPeak = 5, size = 50 }) }), expect = { size = 10 } },
}
