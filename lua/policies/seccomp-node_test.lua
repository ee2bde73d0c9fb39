return {
  {
    name = "node at the level standard",
    input = { language = "node", level = "standard", filter = { allow = { "read" }, telling = { "acct" } } },
    expect = { verdict = "allow", result = { allow = { "read", "@pkeys" }, telling = { "acct" } } },
  },
  {
    name = "node at the level high",
    input = { language = "node", level = "high", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow", result = { allow = { "read", "@pkeys" } } },
  },
  {
    name = "nothing for other languages",
    input = { language = "python", level = "standard", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing for levels that are not its own",
    input = { language = "node", level = "custom", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
}
