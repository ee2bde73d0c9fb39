local function package(manager, name, version)
  return { manager = manager, name = name, version = version }
end

return {
  { name = "any package by default", input = package("pip", "requests"), expect = { verdict = "allow" } },
  {
    name = "denied",
    input = package("npm", "left-pad"),
    params = { deny = { "left-pad" } },
    expect = { verdict = "deny", rule = "packages/denied", reason = "left-pad (npm) is not allowed here" },
  },
  { name = "denied for the other manager", input = package("npm", "torch"), params = { deny = { "pip:torch*" } }, expect = { verdict = "allow" } },
  { name = "denied for this manager", input = package("pip", "torchvision"), params = { deny = { "pip:torch*" } }, expect = { verdict = "deny" } },
  { name = "one of those allowed", input = package("npm", "@team/tool"), params = { allow = { "npm:@team/*" } }, expect = { verdict = "allow" } },
  {
    name = "none of those allowed",
    input = package("pip", "requests"),
    params = { allow = { "numpy", "pandas" } },
    expect = { verdict = "deny", rule = "packages/not-allowed" },
  },
  { name = "pinned, pip", input = package("pip", "numpy", "==2.1.0"), params = { pinned = true }, expect = { verdict = "allow" } },
  { name = "a range, pip", input = package("pip", "numpy", ">=2"), params = { pinned = true }, expect = { verdict = "deny", rule = "packages/version" } },
  { name = "a wildcard, pip", input = package("pip", "numpy", "==2.*"), params = { pinned = true }, expect = { verdict = "deny" } },
  { name = "a list, pip", input = package("pip", "numpy", "==2.1,<3"), params = { pinned = true }, expect = { verdict = "deny" } },
  { name = "no version", input = package("pip", "numpy"), params = { pinned = true }, expect = { verdict = "deny" } },
  { name = "pinned, npm", input = package("npm", "react", "19.1.0-rc.1"), params = { pinned = true }, expect = { verdict = "allow" } },
  { name = "a range, npm", input = package("npm", "react", "^19.1.0"), params = { pinned = true }, expect = { verdict = "deny", rule = "packages/version" } },
  { name = "a range with dashes, npm", input = package("npm", "react", "1.2.3 - 99.0.0"), params = { pinned = true }, expect = { verdict = "deny" } },
  { name = "one that begins as a version, npm", input = package("npm", "react", "1.2.3-0 || >2"), params = { pinned = true }, expect = { verdict = "deny" } },
  { name = "a tag, npm", input = package("npm", "react", "latest"), params = { pinned = true }, expect = { verdict = "deny" } },
  { name = "part of a version, npm", input = package("npm", "react", "19"), params = { pinned = true }, expect = { verdict = "deny" } },
}
