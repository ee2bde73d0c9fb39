local function to(host, more)
  return merge({ host = host, port = 443, protocol = "connect", hostIsAddress = false, addressIsPublic = true }, more or {})
end

return {
  { name = "ours", input = to("api.example.com"), expect = { verdict = "allow", changes = { bytesPerSecond = 4194304 } } },
  { name = "not ours", input = to("example.org"), expect = { verdict = "deny", rule = "domain" } },
  { name = "only looks like ours", input = to("badexample.com"), expect = { verdict = "deny", rule = "domain" } },
  { name = "in the clear", input = to("api.example.com", { port = 80 }), expect = { verdict = "deny", rule = "port" } },
  { name = "an address", input = to("93.184.216.34", { hostIsAddress = true }), expect = { verdict = "deny", rule = "address" } },
  {
    name = "a name that leads inside",
    input = to("api.example.com", { address = "10.0.0.1", addressIsPublic = false }),
    expect = { verdict = "deny", rule = "private" },
  },
  { name = "one name outside, another inside", input = to("api.example.com", { sni = "evil.test" }), expect = { verdict = "deny", rule = "sni" } },
}
