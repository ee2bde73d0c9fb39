-- Which images sandboxes and runtime environments may name. Patterns are globs over the whole
-- reference: "docker.io/library/*", "registry.example.com/team/*".
local function matches(patterns, image)
  for _, pattern in ipairs(patterns) do
    if glob(pattern, image) then
      return true
    end
  end
  return false
end

return {
  name = "images",
  version = 1,
  point = "admission",
  description = "Which images may be named",
  params = {
    allow = { type = "list", items = "string", default = { "*" }, description = "globs; one must match" },
    deny = { type = "list", items = "string", default = {}, description = "globs; none may match" },
    digest = { type = "boolean", default = false, description = "an image must be pinned: name@sha256:..." },
  },
  decide = function(input, params)
    local image = input.object and input.object.spec and input.object.spec.image
    if image == nil then
      return nil
    end
    if matches(params.deny, image) or not matches(params.allow, image) then
      return deny("image", string.format("the image %s is not allowed here", image))
    end
    if params.digest and not contains(image, "@sha256:") then
      return deny("digest", string.format("the image %s must be pinned by its digest: name@sha256:...", image))
    end
    return nil
  end,
}
