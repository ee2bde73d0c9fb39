local function asks(runtime, more)
  return merge({ kind = "command", argv = {}, tty = false, sandbox = { runtime = runtime, labels = {} } }, more)
end

return {
  { name = "no shell", input = asks("python", { program = "bash" }), expect = { verdict = "deny", rule = "shell" } },
  { name = "no shell as a language", input = asks("python", { kind = "code", language = "bash" }), expect = { verdict = "deny", rule = "shell" } },
  { name = "nor behind another program", input = asks("python", { program = "env", argv = { "/usr/bin/env", "/bin/bash", "-c", "id" } }), expect = { verdict = "deny", rule = "shell" } },
  { name = "a line needs a shell", input = asks("python", { program = "ls", argv = { "ls; id" } }), expect = { verdict = "deny", rule = "line" } },
  { name = "a program and its arguments need none", input = asks("python", { program = "ls", argv = { "ls", "a b;" } }), expect = { verdict = "allow" } },
  { name = "nor does a word", input = asks("python", { program = "ls", argv = { "/bin/ls" } }), expect = { verdict = "allow" } },
  { name = "no terminal", input = asks("python", { kind = "terminal", tty = true }), expect = { verdict = "deny", rule = "terminal" } },
  { name = "code runs", input = asks("python", { kind = "code", language = "python" }), expect = { verdict = "allow" } },
  { name = "so does all in other runtimes", input = asks("bash", { program = "bash" }), expect = { verdict = "allow" } },
}
