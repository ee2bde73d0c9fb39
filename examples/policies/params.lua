-- Values of the rules' parameters: for all, and for some. Later overrides win.
return {
  rules = {
    ["office-hours"] = { offset = 120 },
  },
  overrides = {
    { tenant = "batch", rules = { ["tenant-limits"] = { memory = "8Gi", cpu = 8, timeout = "24h" } } },
    { tenant = "vision", rules = { ["gpu-tenants"] = { tenants = { "vision" } } } },
  },
}
