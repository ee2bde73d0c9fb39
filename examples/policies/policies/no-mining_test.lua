return {
  {
    name = "a miner by name, wherever it lies",
    input = { kind = "command", program = "xmrig", argv = { "/tmp/.x/xmrig", "-o", "pool:3333" } },
    expect = { verdict = "deny", rule = "miner", reason = "mining is not allowed here (xmrig)" },
  },
  {
    name = "in the middle of a shell line",
    input = { kind = "command", program = "cd", argv = { "cd /tmp && nice ./minerd -t 4" } },
    expect = { verdict = "deny", rule = "miner" },
  },
  {
    name = "in bash code",
    input = { kind = "code", language = "bash", argv = {}, code = "cd /tmp\n./xmrig" },
    expect = { verdict = "deny", rule = "miner" },
  },
  {
    name = "by its protocol, in code",
    input = { kind = "code", language = "python", argv = {}, code = "connect('stratum+tcp://pool:3333')" },
    expect = { verdict = "deny", rule = "protocol" },
  },
  {
    name = "a name that only begins so is another program",
    input = { kind = "command", program = "xmrig-docs", argv = { "xmrig-docs" } },
    expect = { verdict = "allow" },
  },
  {
    name = "the names are the operator's to choose",
    input = { kind = "command", program = "coin", argv = { "coin" } },
    params = { names = { "coin" } },
    expect = { verdict = "deny" },
  },
}
