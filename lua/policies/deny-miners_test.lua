local function command(...)
  return { kind = "command", argv = { ... } }
end

-- As a script that is given as one line.
local long = {}
for i = 1, 4000 do
  long[i] = "echo 'x'"
end

return {
  { name = "honest code", input = { kind = "code", code = "print('determined to mine data')", argv = {} }, expect = { verdict = "allow" } },
  { name = "honest commands", input = command("grep", "-r", "miner", "/workspace"), expect = { verdict = "allow" } },
  { name = "a honest line", input = command("cd /tmp && make -j2 | tail"), expect = { verdict = "allow" } },
  { name = "part of another word", input = command("echo determinerd minerds"), expect = { verdict = "allow" } },
  { name = "an empty name is nobody's", input = command("ls"), params = { names = { "" } }, expect = { verdict = "allow" } },
  { name = "an empty word is nobody's", input = command("ls"), params = { telltale = { "" } }, expect = { verdict = "allow" } },
  { name = "a long line", input = command(table.concat(long, " ")), expect = { verdict = "allow" } },
  { name = "the end of a long line", input = command(table.concat(long, " ") .. "; xmrig"), expect = { verdict = "deny" } },
  { name = "a terminal says nothing yet", input = { kind = "terminal" }, expect = { verdict = "allow" } },
  {
    name = "by its name",
    input = command("/tmp/XMRig", "-o", "pool:3333"),
    expect = { verdict = "deny", rule = "deny-miners/program", reason = "xmrig mines: mining is not allowed here" },
  },
  { name = "behind another program", input = command("nice", "-n", "19", "./xmrig"), expect = { verdict = "deny", rule = "deny-miners/program" } },
  { name = "in a shell line", input = command("cd /tmp; ./minerd --url x"), expect = { verdict = "deny", rule = "deny-miners/program" } },
  {
    name = "as code of a shell",
    input = { kind = "code", language = "bash", argv = {}, code = "cd /tmp\n./xmrig -o pool:1" },
    expect = { verdict = "deny", rule = "deny-miners/program" },
  },
  {
    name = "other code may talk of it",
    input = { kind = "code", language = "python", argv = {}, code = "print('what is xmrig?')" },
    expect = { verdict = "allow" },
  },
  {
    name = "by its words, in code",
    input = { kind = "code", argv = {}, code = "POOL = 'Stratum+TCP://pool.example.com:3333'" },
    expect = { verdict = "deny", rule = "deny-miners/words" },
  },
  { name = "by its words, in a command", input = command("./a", "-o", "stratum+ssl://p:1"), expect = { verdict = "deny", rule = "deny-miners/words" } },
  {
    name = "names are the operator's",
    input = command("doom"),
    params = { names = { "doom" } },
    expect = { verdict = "deny", rule = "deny-miners/program" },
  },
  {
    name = "a name of two words",
    input = command("python3", "-m", "Pooler", "--x"),
    params = { names = { "-m pooler" } },
    expect = { verdict = "deny", rule = "deny-miners/program" },
  },
}
