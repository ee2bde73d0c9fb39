local function asks(ms, label)
  return { kind = "code", argv = {}, sandbox = { labels = { jobs = label } }, run = { timeoutMs = ms } }
end

return {
  { name = "an hour with the label", input = asks(60000, "long"), expect = { verdict = "allow", result = { timeoutMs = 3600000 } } },
  { name = "more, if more was asked for", input = asks(7200000, "long"), expect = { result = { timeoutMs = 7200000 } } },
  { name = "five minutes without", input = asks(600000), expect = { verdict = "allow", result = { timeoutMs = 300000 } } },
  { name = "less stays less", input = asks(1000), expect = { verdict = "allow" } },
}
