local function timeout(running, extensions, event)
  return {
    event = event or "timeout",
    timeoutSeconds = 300,
    idleSeconds = 0,
    runningExecutions = running,
    extensions = extensions or 0,
    outcome = { action = "delete", extendSeconds = 0 },
  }
end

return {
  { name = "what its own lifecycle says", input = timeout(2), expect = { verdict = "allow" } },
  {
    name = "more time while programs run",
    input = timeout(2),
    params = { extend = "5m" },
    expect = {
      verdict = "decide",
      rule = "lifecycle/running",
      reason = "2 programs still run in it",
      result = { action = "extend", extendSeconds = 300 },
    },
  },
  { name = "nothing runs", input = timeout(0), params = { extend = "5m" }, expect = { verdict = "allow" } },
  { name = "often enough", input = timeout(1, 12), params = { extend = "5m" }, expect = { verdict = "allow" } },
  { name = "not at this event", input = timeout(1, 0, "idle"), params = { extend = "5m", events = { "timeout" } }, expect = { verdict = "allow" } },
}
