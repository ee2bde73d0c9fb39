-- New sandboxes only while somebody is at work. Time is an input (UTC); the offset makes it local.
return {
  name = "office-hours",
  version = 1,
  point = "admission",
  description = "Sandboxes are made in office hours only.",
  params = {
    offset = { type = "integer", default = 60, min = -720, max = 840, description = "minutes east of UTC" },
    from = { type = "integer", default = 8, min = 0, max = 23, description = "first hour of the day" },
    to = { type = "integer", default = 18, min = 1, max = 24, description = "hour at which the day ends" },
    days = { type = "list", items = "integer", default = { 1, 2, 3, 4, 5 }, description = "1 is Monday" },
  },
  decide = function(input, params)
    if input.operation ~= "CREATE" or input.kind ~= "Sandbox" then
      return nil
    end
    local now = utc(input.now, params.offset)
    if not has(params.days, now.weekday) then
      return deny("day", "sandboxes are not made on this day of the week")
    end
    if now.hour < params.from or now.hour >= params.to then
      return deny("hour", "sandboxes are made from " .. params.from .. " to " .. params.to .. " o'clock")
    end
  end,
}
