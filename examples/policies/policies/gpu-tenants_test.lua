local function asks(tenant, ...)
  return { level = "standard", runtime = "python", scope = { tenant = tenant }, context = { devices = { ... } } }
end

return {
  {
    name = "asked for at creation, before any other rule has spoken",
    with = "all",
    input = {
      level = "custom",
      runtime = "python",
      scope = { tenant = "acme" },
      overrides = { devices = { "null", "nvidia0" } },
      context = {},
    },
    expect = { verdict = "deny", rule = "gpu-tenants/tenant" },
  },
  {
    name = "what is no list of names is for others to refuse",
    input = { level = "custom", scope = {}, overrides = { devices = { 1 } }, context = {} },
    expect = { verdict = "allow" },
  },
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
