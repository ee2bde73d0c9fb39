-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "it is not written to",
    input = { operation = "write", path = "/workspace/data/a.csv", bytes = 10 },
    expect = { verdict = "deny", rule = "read-only" },
  },
  {
    name = "it is read",
    input = { operation = "read", path = "/workspace/data/a.csv" },
    expect = { verdict = "allow" },
  },
  {
    name = "nothing is moved into it",
    input = { operation = "move", path = "/workspace/a.csv", to = "/workspace/data/a.csv" },
    expect = { verdict = "deny" },
  },
}
