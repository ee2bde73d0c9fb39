-- What must not come together in one sandbox. Each entry is conditions with spaces between them,
-- "member=glob"; it is refused when all of them hold. A member is one of the spec, with dots
-- ("resources.cpu"), or of the metadata ("labels.team"):
--
--     forbidden = { "labels.data=secret securityLevel=standard", "runtime=bash labels.tier=prod" }
local function member(object, path)
  local spec, metadata = object.spec or {}, object.metadata or {}
  local value = spec
  if starts_with(path, "labels.") then
    return (metadata.labels or {})[path:sub(8)]
  elseif starts_with(path, "annotations.") then
    return (metadata.annotations or {})[path:sub(13)]
  end
  for _, name in ipairs(split(path, ".")) do
    if type(value) ~= "table" then
      return nil
    end
    value = value[name]
  end
  return value
end

-- What a create that says nothing gets.
local defaults = { securityLevel = "standard", warm = "prefer" }

local function holds(object, condition)
  local parts = split(condition, "=", 2)
  local value = member(object, parts[1])
  if value == nil then
    value = defaults[parts[1]]
  end
  return value ~= nil and type(value) ~= "table" and glob(parts[2] or "*", tostring(value))
end

return {
  name = "combinations",
  version = 1,
  point = "admission",
  description = "What must not come together in one sandbox",
  params = {
    forbidden = { type = "list", items = "string", default = {}, description = "conditions that must not all hold: member=glob ..." },
  },
  decide = function(input, params)
    if input.operation == "DELETE" then
      return nil
    end
    for _, entry in ipairs(params.forbidden) do
      local all = true
      for _, condition in ipairs(words(entry)) do
        all = all and holds(input.object, condition)
      end
      if all then
        return deny("forbidden", string.format("this combination is not allowed here: %s", entry))
      end
    end
    return nil
  end,
}
