-- What clients may not read or change through the API. Programs in the sandbox are held by its
-- security context, not by this; and a path is what the client says: links that programs made in
-- the sandbox are not followed here.
local changing = { "write", "delete", "mkdir", "move", "copy", "chmod", "import" }
-- These reach everything below the path as well.
local deep = { "delete", "move", "import", "export", "copy", "chmod" }

-- The protected folder that the operation touches.
local function touched(folders, input, path)
  local below = input.recursive or has(deep, input.operation)
  for _, folder in ipairs(folders) do
    if path_under(folder, path) or (below and path_under(path, folder)) then
      return folder
    end
  end
end

local function refuse(rule, folder, input)
  return deny(rule, string.format("%s may not be %s (%s %s)", folder, rule == "hidden" and "read or changed" or "changed", input.operation, input.path))
end

return {
  name = "files",
  version = 1,
  point = "files",
  description = "What clients may not read or change through the API",
  params = {
    hidden = { type = "list", items = "string", default = {}, description = "folders that nobody reads or changes" },
    protected = { type = "list", items = "string", default = {}, description = "folders that nobody changes" },
    readOnlyLabel = {
      type = "string",
      default = "read-only",
      description = "a sandbox with this label set to true is not changed at all",
    },
  },
  decide = function(input, params)
    local operation, changes = input.operation, has(changing, input.operation)
    local hidden = touched(params.hidden, input, input.path) or (input.to and touched(params.hidden, input, input.to))
    if hidden then
      return refuse("hidden", hidden, input)
    elseif not changes then
      return nil
    end
    if input.sandbox.labels[params.readOnlyLabel] == "true" then
      return deny("read-only", string.format("the files of this sandbox are read-only: its label %s says so", params.readOnlyLabel))
    end
    -- What is copied from stays as it is.
    local protected = (operation ~= "copy" and touched(params.protected, input, input.path))
      or (input.to and touched(params.protected, input, input.to))
    if protected then
      return refuse("protected", protected, input)
    end
    return nil
  end,
}
