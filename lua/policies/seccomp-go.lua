-- Go's runtime and toolchain need nothing beyond what all may call: the rule says so, and is where an
-- operator adds to it.
return {
  name = "seccomp-go",
  version = 1,
  point = "seccomp",
  description = "System calls that Go may make beyond those of all: none",
  decide = function()
    return nil
  end,
}
