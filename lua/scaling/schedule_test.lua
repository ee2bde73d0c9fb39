-- 2026-11-23 is a Monday.
local MONDAY, HOUR, DAY = 1795392000, 3600, 86400
local function at(seconds)
  return { now = MONDAY + seconds, pool = { name = "python", min = 1, max = 30, size = 5 } }
end
local OFFICE = { times = { "Mon-Fri 08:00-18:00 20", "Wed,Sat 12:00-13:00 25", "Fri 22:00-02:00 8" }, otherwise = 3, ahead = 0 }

return {
  { name = "the day is right", input = at(0), params = { times = { "Mon 00:00-00:01 9" } }, expect = { size = 9 } },
  { name = "office hours", input = at(9 * HOUR), params = OFFICE, expect = { size = 20, reason = "Mon-Fri 08:00-18:00 20" } },
  { name = "before them", input = at(8 * HOUR - 1), params = OFFICE, expect = { size = 3, reason = "no time matches" } },
  { name = "after them", input = at(18 * HOUR), params = OFFICE, expect = { size = 3 } },
  { name = "the weekend", input = at(5 * DAY + 9 * HOUR), params = OFFICE, expect = { size = 3 } },
  { name = "the last that matches", input = at(2 * DAY + 12 * HOUR), params = OFFICE, expect = { size = 25 } },
  { name = "before midnight", input = at(4 * DAY + 23 * HOUR), params = OFFICE, expect = { size = 8 } },
  { name = "after midnight it is still Friday's", input = at(5 * DAY + HOUR), params = OFFICE, expect = { size = 8 } },
  { name = "over the end of the week", input = at(6 * DAY), params = { times = { "Sat-Mon 00:00-24:00 7" } }, expect = { size = 7 } },
  { name = "from Sunday to Monday", input = at(HOUR), params = { times = { "Sun 23:00-02:00 7" } }, expect = { size = 7 } },
  { name = "every day", input = at(3 * DAY), params = { times = { "* 00:00-24:00 6" } }, expect = { size = 6 } },
  { name = "local time", input = at(7 * HOUR), params = merge(OFFICE, { offsetMinutes = 60 }), expect = { size = 20 } },
  { name = "made ahead", input = at(8 * HOUR - 30), params = merge(OFFICE, { ahead = 60 }), expect = { size = 20 } },
  { name = "within the pool's limits", input = at(0), params = { times = { "* 00:00-24:00 99" } }, expect = { size = 30 } },
  { name = "none", input = at(0), expect = { size = 1 } },
  { name = "no such day", input = at(0), params = { times = { "Foo 00:00-24:00 9" } }, expect_error = "Mon-Fri 08:00-18:00 20" },
  { name = "no such hour", input = at(0), params = { times = { "Mon 00:00-25:00 9" } }, expect_error = "expected DAYS" },
  { name = "no size", input = at(0), params = { times = { "Mon 00:00-24:00" } }, expect_error = "expected DAYS" },
}
