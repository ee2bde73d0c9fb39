-- Asked before a resource is written: changes complete it, a denial refuses it.
---@type sa.AdmissionRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "admission",
  description = "Sandboxes need a label.",
  params = {
    label = { type = "string", default = "team", description = "the label that must be there" },
  },
  decide = function(input, params)
    if input.kind ~= "Sandbox" or input.operation ~= "CREATE" then
      return nil
    end
    local labels = input.object.metadata.labels or {}
    if not labels[params.label] then
      return deny("label", "a sandbox needs the label " .. params.label)
    end
  end,
}

return rule
