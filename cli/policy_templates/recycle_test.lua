-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "an old pod is replaced",
    input = { enabled = true, uses = 1, ageSeconds = 7200, sameTenant = true, clean = true },
    expect = { verdict = "replace", rule = "age" },
  },
  {
    name = "a young one is used again",
    input = { enabled = true, uses = 1, ageSeconds = 60, sameTenant = true, clean = true },
    expect = { verdict = "reuse" },
  },
}
