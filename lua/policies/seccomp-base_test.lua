return {
  {
    name = "standard has the common sets",
    input = { language = "python", level = "standard", filter = {} },
    expect = {
      verdict = "allow",
      result = {
        allow = {
          "@io", "@files", "@xattr", "@memory", "@process", "@ids", "@signals", "@time", "@timers", "@sync", "@sched",
          "@poll", "@net", "@inotify",
        },
        telling = {},
      },
    },
  },
  {
    name = "high has fewer",
    input = { language = "go", level = "high", filter = {} },
    expect = {
      result = {
        allow = { "@io", "@files", "@memory", "@process", "@signals", "@time", "@sync", "@sched", "@poll", "@net" },
      },
    },
  },
  {
    name = "custom is the operator's",
    input = { language = "bash", level = "custom", filter = {} },
    params = { custom = { "@io", "execve" }, telling = { "personality" } },
    expect = { verdict = "allow", result = { allow = { "@io", "execve" }, telling = { "personality" } } },
  },
  {
    name = "a level that nobody knows",
    input = { language = "python", level = "none", filter = {} },
    expect = { verdict = "allow" },
  },
}
