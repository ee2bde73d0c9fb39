local function asks(tenant, ...)
  return { level = "standard", runtime = "python", scope = { tenant = tenant }, context = { devices = { ... } } }
end

return {
  { name = "a graphics card is refused", input = asks("acme", "null", "nvidia0"), expect = { verdict = "deny", rule = "tenant" } },
  { name = "so is one by another name", input = asks("acme", "dri/card0"), expect = { verdict = "deny" } },
  { name = "other devices are not", input = asks("acme", "null", "urandom"), expect = { verdict = "allow" } },
  {
    name = "who may have one has it",
    input = asks("vision", "nvidia0"),
    params = { tenants = { "vision" } },
    expect = { verdict = "allow" },
  },
}
