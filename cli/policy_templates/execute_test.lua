-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "what is listed does not run",
    input = { kind = "command", program = "xmrig", argv = { "/tmp/xmrig" } },
    expect = { verdict = "deny", rule = "program" },
  },
  {
    name = "other programs run",
    input = { kind = "command", program = "ls", argv = { "ls" } },
    expect = { verdict = "allow" },
  },
}
