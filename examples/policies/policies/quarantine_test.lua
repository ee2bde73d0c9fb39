local function seen(denials, egress, ...)
  return { counters = { denials = denials, egressDenials = egress }, events = { ... }, sandbox = { labels = {} } }
end

return {
  { name = "nothing", input = seen(0, 0), expect = { score = 0, action = "none" } },
  { name = "a little", input = seen(10, 0), expect = { score = 45, action = "none" } },
  { name = "too many calls", input = seen(20, 0), expect = { score = 90, action = "pause", rule = "denials" } },
  { name = "too many connections", input = seen(0, 80), expect = { score = 90, action = "pause" } },
  {
    name = "a dangerous one",
    input = seen(1, 0, { at = 1, type = "Security", reason = "bpf", count = 1 }),
    expect = { score = 100, action = "kill", rule = "dangerous" },
  },
  {
    name = "an ordinary one",
    input = seen(1, 0, { at = 1, type = "Security", reason = "mount", count = 1 }),
    expect = { action = "none" },
  },
}
