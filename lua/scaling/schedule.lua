-- So many warm pods by the time of day and of week. A line of `times` is
--     DAYS HH:MM-HH:MM SIZE        "Mon-Fri 08:00-18:00 20", "Sat,Sun 10:00-16:00 5", "* 22:00-02:00 8"
-- The last one that matches counts; where none does, `otherwise`.
local DAYS = { mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6, sun = 7 }

local function wrong(line)
  return error(string.format('times: "%s": expected DAYS HH:MM-HH:MM SIZE, as in "Mon-Fri 08:00-18:00 20"', line))
end

local function day_matches(days, weekday, line)
  for _, part in ipairs(split(days:lower(), ",")) do
    local ends = split(part, "-")
    local from, to = DAYS[ends[1]], DAYS[ends[#ends]]
    if part ~= "*" and (not from or not to or #ends > 2) then
      wrong(line)
    end
    -- "Sat-Mon" goes over the end of the week.
    if part == "*" or (from <= to and weekday >= from and weekday <= to) or (from > to and (weekday >= from or weekday <= to)) then
      return true
    end
  end
  return false
end

local function minutes_of(text, line)
  local parts = split(text, ":")
  local hour, minute = tonumber(parts[1]), tonumber(parts[2])
  if #parts ~= 2 or not hour or not minute or hour < 0 or hour > 24 or minute < 0 or minute > 59 then
    wrong(line)
  end
  return hour * 60 + minute
end

-- A time that goes over midnight belongs to the day on which it begins.
local function matches(days, from, to, t, line)
  local now = t.hour * 60 + t.minute
  if from < to then
    return now >= from and now < to and day_matches(days, t.weekday, line)
  end
  local yesterday = t.weekday == 1 and 7 or t.weekday - 1
  return (now >= from and day_matches(days, t.weekday, line)) or (now < to and day_matches(days, yesterday, line))
end

return {
  name = "schedule",
  version = 1,
  point = "scaling",
  description = "Warm pods by the time of day and of week",
  params = {
    times = { type = "list", items = "string", default = {}, description = "DAYS HH:MM-HH:MM SIZE" },
    otherwise = { type = "integer", default = 0, min = 0, max = 100000, description = "pods at all other times" },
    offsetMinutes = { type = "integer", default = 0, min = -840, max = 840, description = "minutes that local time is ahead of UTC" },
    ahead = { type = "duration", default = "60s", max = "24h", description = "how long before a time its pods are made" },
  },
  decide = function(input, params)
    local pool, size, why = input.pool, params.otherwise, "no time matches"
    for _, line in ipairs(params.times) do
      local parts = words(line)
      local range = split(parts[2] or "", "-")
      local count = tonumber(parts[3])
      if #parts ~= 3 or #range ~= 2 or not count then
        wrong(line)
      end
      local from, to = minutes_of(range[1], line), minutes_of(range[2], line)
      local now, soon = utc(input.now, params.offsetMinutes), utc(input.now + params.ahead, params.offsetMinutes)
      if matches(parts[1], from, to, now, line) or matches(parts[1], from, to, soon, line) then
        size, why = count, line
      end
    end
    return { size = clamp(size, pool.min, pool.max), reason = why }
  end,
}
