return {
  {
    name = "python at the level standard",
    input = { language = "python", level = "standard", filter = { allow = { "read" }, telling = { "acct" } } },
    expect = { verdict = "allow", result = { allow = { "read", "@numa", "@sysv" }, telling = { "acct" } } },
  },
  {
    name = "python at the level high",
    input = { language = "python", level = "high", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing for other languages",
    input = { language = "go", level = "standard", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing for levels that are not its own",
    input = { language = "python", level = "custom", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
}
