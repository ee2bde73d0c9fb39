local function create(egress)
  return { operation = "CREATE", kind = "Sandbox", object = { spec = { runtime = "python", networkAccess = { egress = egress } } } }
end

local function refused(name, domain, rule)
  return { name = name, input = create({ { domain = domain } }), expect = { verdict = "deny", rule = "network/" .. rule } }
end

return {
  { name = "no network", input = { operation = "CREATE", kind = "Sandbox", object = { spec = {} } }, expect = { verdict = "allow" } },
  { name = "a delete asks for none", input = { operation = "DELETE", kind = "Sandbox" }, expect = { verdict = "allow" } },
  {
    name = "domains",
    input = create({ { domain = "pypi.org" }, { domain = "*.pythonhosted.org", ports = { "443" } } }),
    expect = { verdict = "allow" },
  },
  refused("everything", "*", "everything"),
  refused("no domain is everything", nil, "everything"),
  {
    name = "everything where the operator says so",
    input = create({ { domain = "*" } }),
    params = { everything = true },
    expect = { verdict = "allow" },
  },
  refused("an IPv4 address", "169.254.169.254", "address"),
  refused("an IPv6 address", "fd00::1", "address"),
  refused("this machine", "localhost", "private"),
  refused("the local network", "db.internal", "private"),
  {
    name = "none of the operator's domains",
    input = create({ { domain = "example.com" } }),
    params = { domains = { "*.example.org", "pypi.org" } },
    expect = { verdict = "deny", rule = "network/domain" },
  },
  {
    name = "one of the operator's domains",
    input = create({ { domain = "pypi.org", ports = { "443" } } }),
    params = { domains = { "*.example.org", "pypi.org" }, ports = { "443" } },
    expect = { verdict = "allow" },
  },
  {
    name = "none of the operator's ports",
    input = create({ { domain = "pypi.org", ports = { "443", "22" } } }),
    params = { ports = { "443" } },
    expect = { verdict = "deny", rule = "network/port", reason = "port 22 is not allowed here" },
  },
  {
    name = "too many rules",
    input = create({ { domain = "a.org" }, { domain = "b.org" } }),
    params = { rules = 1 },
    expect = { verdict = "deny", rule = "network/rules" },
  },
}
