local clean = {
  runtime = "python",
  securityLevel = "standard",
  enabled = true,
  uses = 1,
  maxUses = 10,
  ageSeconds = 60,
  sameTenant = true,
  clean = true,
  endReason = "deleted",
  oomKills = 0,
  denials = 0,
  memoryPeakBytes = 1024,
  memoryLimitBytes = 4096,
}

local tests = {
  { name = "clean, and soon used again", input = clean, expect = { verdict = "reuse" } },
  { name = "no limit of uses", input = merge(clean, { uses = 1000, maxUses = 0 }), expect = { verdict = "reuse" } },
  { name = "memory without a limit", input = merge(clean, { memoryLimitBytes = 0 }), expect = { verdict = "reuse" } },
  {
    name = "another tenant, where the operator says so",
    input = merge(clean, { sameTenant = false }),
    params = { acrossTenants = true },
    expect = { verdict = "reuse" },
  },
  {
    name = "the reason is said",
    input = merge(clean, { uses = 10 }),
    expect = { verdict = "replace", rule = "recycle/uses", reason = "used 10 times" },
  },
}

for rule, change in pairs({
  disabled = { enabled = false },
  unclean = { clean = false },
  tenant = { sameTenant = false },
  level = { securityLevel = "high" },
  uses = { uses = 11 },
  age = { ageSeconds = 3600 },
  ["end"] = { endReason = "failed" },
  oom = { oomKills = 1 },
  denials = { denials = 1 },
  memory = { memoryPeakBytes = 4000 },
}) do
  table.insert(tests, {
    name = "replaced: " .. rule,
    input = merge(clean, change),
    expect = { verdict = "replace", rule = "recycle/" .. rule },
  })
end
return tests
