-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "custom sandboxes get fewer processes",
    input = { level = "custom", runtime = "python" },
    expect = { verdict = "allow", changes = { limits = { pids = 64 } } },
  },
  {
    name = "others are left as they are",
    input = { level = "standard", runtime = "python" },
    expect = { verdict = "allow" },
  },
}
