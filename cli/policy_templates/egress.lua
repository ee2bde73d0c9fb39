-- Asked before a connection leaves a sandbox.
---@type sa.EgressRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "egress",
  description = "Hosts that nobody reaches.",
  params = {
    domains = { type = "list", items = "string", default = { "*.example.com" }, description = "names, with * in front" },
  },
  decide = function(input, params)
    for _, domain in ipairs(params.domains) do
      if domain_matches(domain, input.host) then
        return deny("host", input.host .. " must not be reached")
      end
    end
  end,
}

return rule
