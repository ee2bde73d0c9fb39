-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "what is listed is taken away",
    input = { language = "python", level = "custom", filter = { allow = { "read", "inotify_init1" }, telling = {} } },
    expect = { verdict = "allow", result = { allow = { "read" } } },
  },
  {
    name = "without any of it the list stays",
    input = { language = "python", level = "custom", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "other levels are left as they are",
    input = { language = "python", level = "standard", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
}
