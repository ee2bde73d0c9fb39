-- Sandboxes with a label show their files and take none over the files API: reviews, exams, evidence.
-- Programs inside are not asked about files: whoever must not change them from there must not run any.
local changing = { "write", "delete", "mkdir", "move", "copy", "chmod", "import", "sign" }

return {
  name = "read-only-workspaces",
  version = 1,
  point = "files",
  description = "Files of labelled sandboxes are read, not changed.",
  params = {
    label = { type = "string", default = "workspace", description = "the label" },
    value = { type = "string", default = "read-only", description = "its value" },
    writable = {
      type = "list",
      items = "string",
      default = { "/tmp" },
      description = "folders that may be written nevertheless",
    },
  },
  decide = function(input, params)
    if input.sandbox.labels[params.label] ~= params.value or not has(changing, input.operation) then
      return nil
    end
    for _, folder in ipairs(params.writable) do
      if path_under(folder, input.to or input.path) and input.operation ~= "move" then
        return nil
      end
    end
    return deny("read-only", "the files of this sandbox are read-only")
  end,
}
