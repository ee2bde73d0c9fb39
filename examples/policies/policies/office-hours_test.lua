-- 2026-01-05 was a Monday.
local monday = 1767571200

local function at(hours, operation)
  return { now = monday + hours * 3600, operation = operation or "CREATE", kind = "Sandbox", object = {} }
end

return {
  { name = "Monday, 9 o'clock in Berlin", input = at(8), expect = { verdict = "allow" } },
  { name = "7:59 there is too early", input = at(6.99), expect = { verdict = "deny", rule = "hour" } },
  { name = "18:00 is too late", input = at(17), expect = { verdict = "deny", rule = "hour" } },
  { name = "Saturday", input = at(5 * 24 + 11), expect = { verdict = "deny", rule = "day" } },
  { name = "Sunday 23:30 UTC is Monday there", input = at(-0.5), params = { from = 0 }, expect = { verdict = "allow" } },
  { name = "what is there may end at any time", input = at(22, "DELETE"), expect = { verdict = "allow" } },
}
