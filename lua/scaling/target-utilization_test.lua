local function input(changes)
  return merge({
    now = 10000,
    pool = { name = "python", min = 2, max = 50, size = 10 },
    pods = { available = 10, assigned = 40, pending = 0, recycling = 0 },
    history = {},
    lastScaleAt = 0,
  }, changes)
end

return {
  { name = "one warm to four in use", input = input({}), expect = { size = 10, reason = "40 in use, at 80 %, want 10 warm" } },
  { name = "more in use, more warm", input = input({ pods = { assigned = 60 } }), expect = { size = 15 } },
  { name = "not below min", input = input({ pods = { assigned = 0 }, pool = { size = 2 } }), expect = { size = 2 } },
  { name = "not above max", input = input({ pods = { assigned = 1000 }, pool = { size = 40 } }), expect = { size = 50 } },
  { name = "growth is limited", input = input({ pods = { assigned = 200 }, pool = { size = 3 } }), expect = { size = 7 } },
  { name = "and may be chosen", input = input({ pods = { assigned = 200 }, pool = { size = 30 } }), params = { stepUp = 0.2 }, expect = { size = 36 } },
  { name = "reduction is limited", input = input({ pods = { assigned = 4 } }), expect = { size = 5 } },
  { name = "a little too many stay", input = input({ pods = { assigned = 36 } }), expect = { size = 10 } },
  { name = "not right after a change", input = input({ pods = { assigned = 4 }, lastScaleAt = 9800 }), expect = { size = 10 } },
  {
    name = "not while it was needed lately",
    input = input({ pods = { assigned = 4 }, history = { { at = 9000, assigned = 90 }, { at = 9900, assigned = 40 } } }),
    expect = { size = 10 },
  },
  { name = "another target", input = input({}), params = { targetUtilization = 50 }, expect = { size = 20 } },
  { name = "the pool's own", input = input({ params = { targetUtilization = 50 } }), expect = { size = 20 } },
}
