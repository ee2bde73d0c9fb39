-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "what is listed is not reached",
    input = { host = "www.example.com", port = 443, protocol = "connect" },
    expect = { verdict = "deny", rule = "host" },
  },
  {
    name = "other hosts are",
    input = { host = "pypi.org", port = 443, protocol = "connect" },
    expect = { verdict = "allow" },
  },
}
