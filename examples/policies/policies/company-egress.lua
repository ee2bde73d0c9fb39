-- Connections go to the company's own names, over TLS, and never to an address that is not public.
return {
  name = "company-egress",
  version = 1,
  point = "egress",
  description = "Only the company's domains are reached.",
  params = {
    domains = {
      type = "list",
      items = "string",
      default = { "example.com", "*.example.com" },
      description = "names, with * in front",
    },
    ports = { type = "list", items = "integer", default = { 443 }, description = "ports" },
    rate = { type = "quantity", default = "4Mi", description = "bytes a second, each way" },
  },
  decide = function(input, params)
    if input.hostIsAddress then
      return deny("address", "connections go to names, not to addresses")
    end
    if input.address and not input.addressIsPublic then
      return deny("private", input.host .. " leads to an address that is not public")
    end
    if not has(params.ports, input.port) then
      return deny("port", "port " .. input.port .. " is closed")
    end
    if input.sni and input.sni ~= input.host then
      return deny("sni", "TLS asks for " .. input.sni .. ", the connection is to " .. input.host)
    end
    for _, domain in ipairs(params.domains) do
      if domain_matches(domain, input.host) then
        return allow({ bytesPerSecond = params.rate })
      end
    end
    return deny("domain", input.host .. " is not one of ours")
  end,
}
