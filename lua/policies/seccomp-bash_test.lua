return {
  {
    name = "bash at the level standard",
    input = { language = "bash", level = "standard", filter = { allow = { "read" }, telling = { "acct" } } },
    expect = { verdict = "allow", result = { allow = { "read", "@sysv" }, telling = { "acct" } } },
  },
  {
    name = "bash at the level high",
    input = { language = "bash", level = "high", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing for other languages",
    input = { language = "go", level = "standard", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing for levels that are not its own",
    input = { language = "bash", level = "custom", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
}
