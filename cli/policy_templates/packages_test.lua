-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "what is listed is not installed",
    input = { manager = "pip", name = "requestss" },
    expect = { verdict = "deny", rule = "package" },
  },
  {
    name = "others are",
    input = { manager = "pip", name = "requests", version = ">=2" },
    expect = { verdict = "allow" },
  },
}
