-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "what works gets more time",
    input = { event = "timeout", runningExecutions = 1, extensions = 0, outcome = { action = "delete", extendSeconds = 0 } },
    expect = { verdict = "decide", rule = "working", result = { action = "extend", extendSeconds = 300 } },
  },
  {
    name = "but once only",
    input = { event = "timeout", runningExecutions = 1, extensions = 1, outcome = { action = "delete", extendSeconds = 0 } },
    expect = { verdict = "allow" },
  },
}
