return {
  {
    name = "what all may",
    input = { language = "go", level = "standard", filter = { allow = { "read" }, telling = {} } },
    expect = { verdict = "allow" },
  },
}
