-- Run by `secureagent policy test`, and before each reload.
return {
  {
    name = "some to spare",
    input = { rule = "@NAME@", pool = { min = 1, max = 10, size = 3 }, pods = { assigned = 4, available = 1 } },
    expect = { size = 6 },
  },
  {
    name = "never more than the pool may have",
    input = { rule = "@NAME@", pool = { min = 1, max = 5, size = 3 }, pods = { assigned = 4, available = 1 } },
    expect = { size = 5 },
  },
}
