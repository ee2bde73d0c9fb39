local function create(image)
  return { operation = "CREATE", kind = "Sandbox", object = { spec = { runtime = "python", image = image } } }
end

return {
  { name = "no image, nothing to say", input = create(nil), expect = { verdict = "allow" } },
  { name = "a delete names none", input = { operation = "DELETE", kind = "Sandbox" }, expect = { verdict = "allow" } },
  { name = "any image by default", input = create("python:3.12-slim"), expect = { verdict = "allow" } },
  {
    name = "one of the allowed",
    input = create("registry.example.com/team/tool:1"),
    params = { allow = { "python:*", "registry.example.com/team/*" } },
    expect = { verdict = "allow" },
  },
  {
    name = "none of the allowed",
    input = create("evil/python:3"),
    params = { allow = { "python:*" } },
    expect = { verdict = "deny", rule = "images/image", reason = "the image evil/python:3 is not allowed here" },
  },
  {
    name = "denied even where all is allowed",
    input = create("python:latest"),
    params = { deny = { "*:latest" } },
    expect = { verdict = "deny", rule = "images/image" },
  },
  {
    name = "a runtime environment names one, too",
    input = { operation = "CREATE", kind = "RuntimeEnvironment", object = { spec = { image = "x:latest" } } },
    params = { deny = { "*:latest" } },
    expect = { verdict = "deny", rule = "images/image" },
  },
  {
    name = "not pinned",
    input = create("python:3.12"),
    params = { digest = true },
    expect = { verdict = "deny", rule = "images/digest" },
  },
  {
    name = "pinned",
    input = create("python@sha256:0123"),
    params = { digest = true },
    expect = { verdict = "allow" },
  },
}
