return {
  { name = "what is listed", input = { manager = "pip", name = "pandas", version = ">=2" }, expect = { verdict = "allow" } },
  { name = "a family", input = { manager = "npm", name = "@types/node" }, expect = { verdict = "allow" } },
  { name = "what is not", input = { manager = "pip", name = "pandass" }, expect = { verdict = "deny", rule = "not-listed" } },
  { name = "what the other manager has", input = { manager = "npm", name = "numpy" }, expect = { verdict = "deny" } },
}
