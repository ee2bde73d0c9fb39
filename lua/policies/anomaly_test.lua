local quiet = {
  cpuUs = 1000000,
  throttledUs = 0,
  memoryPeakBytes = 1024,
  memoryLimitBytes = 4096,
  processes = 4,
  pidsLimit = 256,
  oomKills = 0,
  denials = 0,
  executions = 3,
  outputBytes = 1000,
  egressDenials = 0,
}

local function sandbox(counters, events)
  return { counters = merge(quiet, counters), events = events or {} }
end

local function mount(count)
  return { { at = 1, type = "Security", reason = "mount", count = count }, { at = 2, type = "Info", reason = "mount", count = 9 } }
end

return {
  { name = "quiet", input = sandbox({}), expect = { score = 0, action = "none" } },
  { name = "one odd call is nothing", input = sandbox({ denials = 1 }, mount(1)), expect = { score = 22, action = "none" } },
  { name = "nor is running out of memory", input = sandbox({ oomKills = 3 }), expect = { score = 6, action = "none" } },
  {
    name = "who tries to get out is told of",
    input = sandbox({ denials = 3 }, mount(3)),
    expect = { score = 65, action = "alert", rule = "anomaly/escape", reason = "system calls that only an escape needs" },
  },
  { name = "who tries hard is stopped", input = sandbox({ denials = 500 }, mount(3)), expect = { score = 90, action = "pause" } },
  { name = "or killed, where the operator says so", input = sandbox({ denials = 500 }, mount(3)), params = { kill = 80 }, expect = { action = "kill" } },
  { name = "never more than 100", input = sandbox({ denials = 99, egressDenials = 99, oomKills = 99 }, mount(9)), expect = { score = 100 } },
  { name = "a fork bomb that knocks at the network", input = sandbox({ processes = 250, egressDenials = 60 }), expect = { score = 55, action = "alert" } },
  { name = "no limit of processes, no sign", input = sandbox({ processes = 250, pidsLimit = 0 }), expect = { score = 0 } },
  { name = "alerts can be off", input = sandbox({}, mount(3)), params = { alert = 0, pause = 0 }, expect = { score = 60, action = "none" } },
}
