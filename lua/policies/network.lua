-- What networks a sandbox may ask for in spec.networkAccess: its egress rules are what the egress
-- point lets through later, so what must never be asked for is refused here, when it is written.
local function is_address(domain)
  return ip_in("0.0.0.0/0", domain) or ip_in("::/0", domain)
end

local function is_private(domain)
  for _, pattern in ipairs({ "localhost", "*.localhost", "*.local", "*.internal", "*.home.arpa" }) do
    if domain_matches(pattern, domain) then
      return true
    end
  end
  return false
end

return {
  name = "network",
  version = 1,
  point = "admission",
  description = "What networks a sandbox may ask for",
  params = {
    domains = { type = "list", items = "string", default = {}, description = "globs of all that may be asked for; none: any" },
    ports = { type = "list", items = "string", default = {}, description = "of all that may be asked for; none: any" },
    everything = { type = "boolean", default = false, description = "a sandbox may ask for *" },
    rules = { type = "integer", default = 64, min = 0, max = 1000, description = "egress rules of one sandbox" },
  },
  decide = function(input, params)
    if input.operation == "DELETE" or input.kind ~= "Sandbox" then
      return nil
    end
    local egress = (input.object.spec.networkAccess or {}).egress or {}
    if #egress > params.rules then
      return deny("rules", string.format("%d egress rules: at most %d are allowed here", #egress, params.rules))
    end
    for _, rule in ipairs(egress) do
      local domain, allowed = rule.domain or "*", #params.domains == 0
      if domain == "*" and not params.everything then
        return deny("everything", "access to everything is not allowed here: name the domains")
      elseif is_address(domain) then
        return deny("address", string.format("%s is an address: name a domain", domain))
      elseif is_private(domain) then
        return deny("private", string.format("%s is a name of this machine or its network", domain))
      end
      for _, pattern in ipairs(params.domains) do
        allowed = allowed or glob(pattern, domain)
      end
      if not allowed then
        return deny("domain", string.format("%s is none of the domains that are allowed here", domain))
      end
      for _, port in ipairs(rule.ports or {}) do
        if #params.ports > 0 and not has(params.ports, tostring(port)) then
          return deny("port", string.format("port %s is not allowed here", tostring(port)))
        end
      end
    end
    return nil
  end,
}
