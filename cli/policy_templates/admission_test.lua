-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "without the label it is refused",
    input = { operation = "CREATE", kind = "Sandbox", object = { metadata = {}, spec = {} } },
    expect = { verdict = "deny", rule = "label" },
  },
  {
    name = "with it, it is taken",
    input = { operation = "CREATE", kind = "Sandbox", object = { metadata = { labels = { team = "a" } }, spec = {} } },
    expect = { verdict = "allow" },
  },
  {
    name = "it may end without",
    input = { operation = "DELETE", kind = "Sandbox", old = { metadata = {}, spec = {} } },
    expect = { verdict = "allow" },
  },
}
