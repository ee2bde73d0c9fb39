-- Where sandboxes may connect to: nowhere, but to the domains of their own networkAccess.egress
-- and those that the operator opens for all. Never to an address instead of a name, never to an
-- address that is not public, and never under another name than was asked for.
local function open(rules, input)
  for _, rule in ipairs(rules) do
    local ports = rule.ports
    if #ports == 0 then
      ports = { "443", "80" }
    end
    if domain_matches(rule.domain, input.host) and has(ports, tostring(input.port)) then
      return true
    end
  end
  return false
end

-- Domains of a parameter, as rules.
local function rules_of(domains, ports)
  local rules = {}
  for _, domain in ipairs(domains) do
    table.insert(rules, { domain = domain, ports = ports })
  end
  return rules
end

local function refusal(input, params)
  local target = string.format("%s:%d", input.host, input.port)
  if input.hostIsAddress then
    return deny("address", string.format("%s is an address: connect to a name", target))
  elseif input.address and not input.addressIsPublic then
    return deny("private", string.format("%s is at %s, which is not a public address", target, input.address))
  elseif input.sni and not domain_matches(input.host, input.sni) then
    return deny("sni", string.format("TLS asks for %s on a connection to %s", input.sni, target))
  elseif input.protocol == "tls" and not input.sni then
    return deny("sni", string.format("TLS without a name on a connection to %s", target))
  elseif open(rules_of(params.deny, { tostring(input.port) }), input) then
    return deny("domain", string.format("%s is not allowed here", target))
  elseif not open(input.rules, input) and not open(rules_of(params.allow, params.ports), input) then
    return deny("closed", string.format("%s is not in the sandbox's networkAccess.egress", target))
  end
end

local function least(asked, most)
  if most and (asked == 0 or asked > most) then
    return most
  end
end

return {
  name = "egress",
  version = 1,
  point = "egress",
  description = "Where sandboxes may connect to",
  params = {
    allow = { type = "list", items = "string", default = {}, description = "domains open to every sandbox" },
    ports = { type = "list", items = "string", default = { "443" }, description = "of those" },
    deny = { type = "list", items = "string", default = {}, description = "domains closed to every sandbox" },
    bandwidth = { type = "quantity", min = "1Ki", description = "bytes a second" },
    connections = { type = "integer", min = 1, description = "at a time" },
  },
  decide = function(input, params)
    local refused = refusal(input, params)
    if refused then
      return refused
    end
    local grant = {
      bytesPerSecond = least(input.grant.bytesPerSecond, params.bandwidth),
      connections = least(input.grant.connections, params.connections),
    }
    if next(grant) == nil then
      return nil
    end
    return allow(grant)
  end,
}
