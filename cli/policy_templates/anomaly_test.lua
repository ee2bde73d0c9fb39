-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "a few are noticed",
    input = { counters = { denials = 5 }, events = {} },
    expect = { score = 50, action = "none" },
  },
  {
    name = "many pause it",
    input = { counters = { denials = 20 }, events = {} },
    expect = { score = 100, action = "pause", rule = "denials" },
  },
}
