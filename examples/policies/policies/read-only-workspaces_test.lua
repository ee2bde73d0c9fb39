local function asks(operation, path, label, to)
  return { operation = operation, path = path, to = to, bytes = -1, sandbox = { labels = { workspace = label } } }
end

return {
  { name = "nothing is written", input = asks("write", "/workspace/a", "read-only"), expect = { verdict = "deny", rule = "read-only" } },
  { name = "nothing is deleted", input = asks("delete", "/workspace/a", "read-only"), expect = { verdict = "deny" } },
  { name = "nothing is moved away", input = asks("move", "/workspace/a", "read-only", "/tmp/a"), expect = { verdict = "deny" } },
  { name = "it is read", input = asks("read", "/workspace/a", "read-only"), expect = { verdict = "allow" } },
  { name = "/tmp can be written", input = asks("write", "/tmp/a", "read-only"), expect = { verdict = "allow" } },
  { name = "/tmpfile is not in /tmp", input = asks("write", "/tmpfile", "read-only"), expect = { verdict = "deny" } },
  { name = "others are as ever", input = asks("write", "/workspace/a", nil), expect = { verdict = "allow" } },
}
