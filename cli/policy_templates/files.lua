-- Asked before a file is read or changed from outside, through the API.
---@type sa.FilesRule
local rule = {
  name = "@NAME@",
  version = 1,
  point = "files",
  description = "Folders that stay as they are.",
  params = {
    folders = { type = "list", items = "string", default = { "/workspace/data" }, description = "must not be changed" },
  },
  decide = function(input, params)
    local reading = has({ "read", "list", "stat", "watch", "export" }, input.operation)
    for _, folder in ipairs(params.folders) do
      if not reading and (path_under(folder, input.path) or (input.to and path_under(folder, input.to))) then
        return deny("read-only", folder .. " is read-only")
      end
    end
  end,
}

return rule
