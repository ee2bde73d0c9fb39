return {
  {
    name = "default at the level standard",
    input = { language = "default", level = "standard", filter = { allow = { "read" }, telling = { "acct" } } },
    expect = { verdict = "allow", result = { allow = { "read", "@numa", "@pkeys", "@aio", "@sysv", "@mqueue", "@self" }, telling = { "acct" } } },
  },
  {
    name = "default at the level high",
    input = { language = "default", level = "high", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow", result = { allow = { "read", "@pkeys" } } },
  },
  {
    name = "nothing for other languages",
    input = { language = "go", level = "standard", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing for levels that are not its own",
    input = { language = "default", level = "custom", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
}
