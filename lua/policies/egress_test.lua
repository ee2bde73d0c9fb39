local function to(host, port, more)
  return merge({
    host = host,
    port = port,
    protocol = "connect",
    addressIsPublic = false,
    hostIsAddress = false,
    rules = { { domain = "pypi.org", ports = {} }, { domain = "*.example.com", ports = { "8443" } } },
    grant = { bytesPerSecond = 0, connections = 0 },
  }, more or {})
end

return {
  { name = "a domain of the sandbox", input = to("pypi.org", 443), expect = { verdict = "allow" } },
  { name = "http is open where no port is said", input = to("pypi.org", 80), expect = { verdict = "allow" } },
  { name = "no other port", input = to("pypi.org", 22), expect = { verdict = "deny", rule = "egress/closed" } },
  { name = "the ports that are said", input = to("api.example.com", 8443), expect = { verdict = "allow" } },
  { name = "and only those", input = to("api.example.com", 443), expect = { verdict = "deny", rule = "egress/closed" } },
  {
    name = "everything else is closed",
    input = to("evil.example.org", 443),
    expect = { verdict = "deny", rule = "egress/closed", reason = "evil.example.org:443 is not in the sandbox's networkAccess.egress" },
  },
  {
    name = "a sandbox without rules reaches nothing",
    input = { host = "pypi.org", port = 443, rules = {}, grant = { bytesPerSecond = 0, connections = 0 } },
    expect = { verdict = "deny", rule = "egress/closed" },
  },
  {
    name = "a public address behind the name",
    input = to("pypi.org", 443, { address = "151.101.0.223", addressIsPublic = true }),
    expect = { verdict = "allow" },
  },
  {
    name = "a private address behind the name",
    input = to("pypi.org", 443, { address = "169.254.169.254" }),
    expect = { verdict = "deny", rule = "egress/private" },
  },
  {
    name = "an address instead of a name",
    input = to("151.101.0.223", 443, { hostIsAddress = true, rules = { { domain = "*", ports = {} } } }),
    expect = { verdict = "deny", rule = "egress/address" },
  },
  { name = "TLS for the same name", input = to("pypi.org", 443, { protocol = "tls", sni = "PyPI.org" }), expect = { verdict = "allow" } },
  {
    name = "TLS for another name",
    input = to("pypi.org", 443, { protocol = "tls", sni = "evil.example.org" }),
    expect = { verdict = "deny", rule = "egress/sni" },
  },
  { name = "TLS for no name", input = to("pypi.org", 443, { protocol = "tls" }), expect = { verdict = "deny", rule = "egress/sni" } },
  { name = "open to all", input = to("files.example.net", 443), params = { allow = { "*.example.net" } }, expect = { verdict = "allow" } },
  {
    name = "on its ports",
    input = to("files.example.net", 80),
    params = { allow = { "*.example.net" } },
    expect = { verdict = "deny", rule = "egress/closed" },
  },
  { name = "closed to all", input = to("pypi.org", 443), params = { deny = { "*.org", "pypi.org" } }, expect = { verdict = "deny", rule = "egress/domain" } },
  {
    name = "limited",
    input = to("pypi.org", 443, { grant = { bytesPerSecond = 0, connections = 4 } }),
    params = { bandwidth = "1Mi", connections = 8 },
    expect = { verdict = "allow", result = { bytesPerSecond = 1048576, connections = 4 } },
  },
}
