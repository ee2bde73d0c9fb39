local function asks(runtime, more)
  return merge({ kind = "command", argv = {}, tty = false, sandbox = { runtime = runtime, labels = {} } }, more)
end

return {
  { name = "no shell", input = asks("python", { program = "bash" }), expect = { verdict = "deny", rule = "shell" } },
  { name = "no shell as a language", input = asks("python", { kind = "code", language = "bash" }), expect = { verdict = "deny", rule = "shell" } },
  { name = "no terminal", input = asks("python", { kind = "terminal", tty = true }), expect = { verdict = "deny", rule = "terminal" } },
  { name = "code runs", input = asks("python", { kind = "code", language = "python" }), expect = { verdict = "allow" } },
  { name = "so does all in other runtimes", input = asks("bash", { program = "bash" }), expect = { verdict = "allow" } },
}
