-- Declarations: what a rule file returns, params.lua, tests. Part of the machine, not seen by
-- rules. `report(message, word)` notes an error at the line of the file that has the word.
local match = ...
local declare = {}

local scalars = { string = true, integer = true, number = true, boolean = true, quantity = true, duration = true }
local allowed = {
  string = { "values", "maxLength" },
  integer = { "min", "max" },
  number = { "min", "max" },
  boolean = {},
  list = { "items" },
  map = { "values" },
  quantity = { "min", "max" },
  duration = { "min", "max" },
}

local function is_list(value)
  local n = 0
  for _ in pairs(value) do
    n = n + 1
  end
  return n == #value
end

local function check_members(table_, names, where, report)
  for name in pairs(table_) do
    if not has(names, name) then
      report(where .. 'there is no member "' .. tostring(name) .. '"', tostring(name))
    end
  end
end

local check

local function check_range(declared, value)
  local min, max = declared.min, declared.max
  if declared.type == "quantity" then
    min, max = quantity(min), quantity(max)
  elseif declared.type == "duration" then
    min, max = duration(min), duration(max)
  end
  if min and value < min then
    return nil, tostring(value) .. " is less than " .. tostring(declared.min)
  elseif max and value > max then
    return nil, tostring(value) .. " is more than " .. tostring(declared.max)
  end
  return value
end

local function check_number(declared, value)
  if declared.type == "quantity" then
    value = quantity(value)
  elseif declared.type == "duration" then
    value = duration(value)
  end
  if type(value) ~= "number" or value ~= value or value == math.huge or value == -math.huge then
    return nil
  elseif declared.type == "integer" and value ~= math.floor(value) then
    return nil, "expected a whole number, got " .. tostring(value)
  end
  return check_range(declared, value)
end

local function check_string(declared, value)
  if type(value) ~= "string" then
    return nil
  elseif declared.values and not has(declared.values, value) then
    return nil, '"' .. value:sub(1, 60) .. '" is none of its values'
  elseif #value > (declared.maxLength or 65536) then
    return nil, "longer than " .. (declared.maxLength or 65536) .. " bytes"
  end
  return value
end

local function check_each(declared, value)
  local kind = declared.items or declared.type == "map" and declared.values
  local result = {}
  for name, member in pairs(value) do
    if declared.type == "map" and type(name) ~= "string" then
      return nil
    end
    local checked, why = member, nil
    if kind then
      checked, why = check({ type = kind }, member)
    elseif type(member) == "table" or type(member) == "function" then
      checked = nil
    end
    if checked == nil then
      return nil, tostring(name) .. ": " .. (why or "expected " .. (kind or "a scalar") .. ", got " .. type(member))
    end
    result[name] = checked
  end
  return result
end

-- The value as rules get it, or nil and perhaps why not.
function check(declared, value)
  local kind = declared.type
  if kind == "boolean" then
    if type(value) == "boolean" then
      return value
    end
  elseif kind == "string" then
    return check_string(declared, value)
  elseif kind == "list" or kind == "map" then
    if type(value) == "table" and (kind == "map" or is_list(value)) then
      return check_each(declared, value)
    end
  else
    return check_number(declared, value)
  end
end

local function mismatch(declared, value, why)
  return why or "expected " .. declared.type .. ", got " .. (type(value) == "string" and '"' .. value:sub(1, 60) .. '"' or type(value))
end

local function check_bounds(where, declared, report, name)
  for _, bound in ipairs({ "min", "max" }) do
    local value = declared[bound]
    if value ~= nil and check_number({ type = declared.type }, value) == nil then
      report(where .. bound .. ": " .. mismatch(declared, value), name)
    end
  end
end

local function check_param(name, declared, report)
  local where = "params." .. tostring(name) .. ": "
  if type(name) ~= "string" or not match(name, "^%a[%w_]*$") or #name > 63 then
    return report("params: a name is a letter, then letters, digits and _", tostring(name))
  elseif type(declared) ~= "table" then
    return report(where .. "expected a table, got " .. type(declared), name)
  elseif type(declared.type) ~= "string" or not allowed[declared.type] then
    return report(where .. "its type is none of string, integer, number, boolean, list, map, quantity, duration", name)
  end
  for member in pairs(declared) do
    if not has({ "type", "default", "description" }, member) and not has(allowed[declared.type], member) then
      report(where .. 'there is no member "' .. tostring(member) .. '" of a ' .. declared.type, name)
    end
  end
  if declared.description ~= nil and (type(declared.description) ~= "string" or #declared.description > 500) then
    report(where .. "its description is no short text", name)
  end
  local kind = declared.items or declared.type == "map" and declared.values or nil
  if kind ~= nil and (type(kind) ~= "string" or not scalars[kind]) then
    return report(where .. "its elements are of no scalar type", name)
  end
  if declared.type == "string" and declared.values ~= nil and (type(declared.values) ~= "table" or not is_list(declared.values)) then
    return report(where .. "values: expected a list", name)
  end
  if declared.maxLength ~= nil and type(declared.maxLength) ~= "number" then
    return report(where .. "maxLength: expected a number", name)
  end
  check_bounds(where, declared, report, name)
  if declared.default ~= nil then
    local value, why = check(declared, declared.default)
    if value == nil then
      report(where .. "default: " .. mismatch(declared, declared.default, why), name)
    end
  end
end

-- A rule file's table. True when nothing was found.
function declare.rule(rule, points, report)
  if type(rule) ~= "table" then
    return report("a rule file returns a table, not " .. type(rule))
  end
  check_members(rule, { "name", "version", "point", "description", "params", "decide" }, "", report)
  if type(rule.name) ~= "string" or #rule.name > 63 or not match(rule.name, "^[a-z0-9][a-z0-9-]*$") then
    report("name: expected at most 63 of a-z, 0-9 and -", "name")
  end
  if type(rule.version) ~= "number" or rule.version < 1 or rule.version > 1e9 or rule.version ~= math.floor(rule.version) then
    report("version: expected a whole number from 1", "version")
  end
  if type(rule.point) ~= "string" or not has(points, rule.point) then
    report("point: " .. (type(rule.point) == "string" and 'there is no decision point "' .. rule.point:sub(1, 60) .. '"' or "expected the name of a decision point"), "point")
  end
  if rule.description ~= nil and (type(rule.description) ~= "string" or #rule.description > 1000) then
    report("description: expected a text of at most 1000 bytes", "description")
  end
  if type(rule.decide) ~= "function" then
    report("decide: expected a function, got " .. type(rule.decide), "decide")
  end
  if rule.params ~= nil and type(rule.params) ~= "table" then
    return report("params: expected a table, got " .. type(rule.params), "params")
  end
  for name, declared in pairs(rule.params or {}) do
    check_param(name, declared, report)
  end
end

-- `given` values of a rule's parameters, as rules get them; what is wrong is reported.
function declare.values(declared, given, where, report)
  local values = {}
  if type(given) ~= "table" then
    report(where .. ": expected a table, got " .. type(given))
    return values
  end
  for name, value in pairs(given) do
    local param = declared[name]
    if not param then
      report(where .. ': there is no parameter "' .. tostring(name) .. '"', tostring(name))
    else
      local checked, why = check(param, value)
      if checked == nil then
        report(where .. "." .. name .. ": " .. mismatch(param, value, why), name)
      end
      values[name] = checked
    end
  end
  return values
end

function declare.defaults(declared)
  local values = {}
  for name, param in pairs(declared) do
    if param.default ~= nil then
      values[name] = check(param, param.default)
    end
  end
  return values
end

-- The new over the old.
function declare.over(values, new)
  local result = {}
  for name, value in pairs(values) do
    result[name] = value
  end
  for name, value in pairs(new) do
    result[name] = value
  end
  return result
end

local function check_scope(override, where, report)
  for _, name in ipairs({ "tenant", "namespace", "pool" }) do
    if override[name] ~= nil and type(override[name]) ~= "string" then
      report(where .. name .. ": expected a text, got " .. type(override[name]), name)
    end
  end
end

local function rule_values(given, rules, where, report)
  local values = {}
  if type(given) ~= "table" then
    report(where .. ": expected a table, got " .. type(given))
    return values
  end
  for name, params in pairs(given) do
    if not rules[name] then
      report(where .. ': there is no rule "' .. tostring(name) .. '"', tostring(name))
    else
      values[name] = declare.values(rules[name], params, where .. "." .. name, report)
    end
  end
  return values
end

-- params.lua; `rules` has what each declares. Values of all and a list of overrides.
function declare.settings(settings, rules, report)
  local result = { rules = {}, overrides = {} }
  if type(settings) ~= "table" then
    report("params.lua returns a table, not " .. type(settings))
    return result
  end
  check_members(settings, { "rules", "overrides" }, "", report)
  result.rules = rule_values(settings.rules or {}, rules, "rules", report)
  if type(settings.overrides or {}) ~= "table" or #(settings.overrides or {}) > 1024 then
    report("overrides: expected a list of at most 1024", "overrides")
    return result
  end
  for i, override in ipairs(settings.overrides or {}) do
    local where = "overrides[" .. i .. "]"
    if type(override) ~= "table" then
      report(where .. ": expected a table, got " .. type(override), "overrides")
    else
      check_members(override, { "tenant", "namespace", "pool", "rules" }, where .. ": ", report)
      check_scope(override, where .. ".", report)
      local copy_ = { tenant = override.tenant, namespace = override.namespace, pool = override.pool }
      copy_.rules = rule_values(override.rules or {}, rules, where .. ".rules", report)
      result.overrides[i] = copy_
    end
  end
  return result
end

-- The list that a _test.lua returns.
function declare.tests(tests, declared, report)
  if type(tests) ~= "table" or not is_list(tests) then
    return report("a test file returns a list of tests, or a function that does")
  end
  for i, test in ipairs(tests) do
    local where = "test " .. i .. ": "
    if type(test) ~= "table" then
      report(where .. "expected a table, got " .. type(test))
    else
      check_members(test, { "name", "input", "params", "expect", "expect_error", "with" }, where, report)
      if type(test.name) ~= "string" or #test.name > 200 then
        report(where .. "name: expected a text of at most 200 bytes")
      else
        where = "test \"" .. test.name .. "\": "
      end
      if type(test.input) ~= "table" then
        report(where .. "input: expected a table, got " .. type(test.input))
      end
      if (test.expect == nil) == (test.expect_error == nil) then
        report(where .. "it has either `expect` or `expect_error`", type(test.name) == "string" and test.name or nil)
      elseif test.expect ~= nil and type(test.expect) ~= "table" then
        report(where .. "expect: expected a table, got " .. type(test.expect))
      elseif test.expect_error ~= nil and type(test.expect_error) ~= "string" then
        report(where .. "expect_error: expected a text, got " .. type(test.expect_error))
      end
      if test.with ~= nil and test.with ~= "all" then
        report(where .. 'with: only "all" is known', "with")
      end
      if test.params ~= nil then
        declare.values(declared, test.params, where .. "params", report)
      end
    end
  end
end

local function show(value)
  if type(value) == "string" then
    return '"' .. value:sub(1, 80) .. '"'
  end
  return tostring(value)
end

-- Is `expected` a part of `got`? Nil, or where it is not. A list must be equal.
function declare.differs(expected, got, where)
  if type(expected) ~= "table" or type(got) ~= "table" then
    if expected ~= got then
      return where .. ": expected " .. show(expected) .. ", got " .. show(got)
    end
    return nil
  end
  if #expected > 0 and #expected ~= #got then
    return where .. ": expected " .. #expected .. " elements, got " .. #got
  end
  for _, name in ipairs(#expected > 0 and {} or keys(expected)) do
    local difference = declare.differs(expected[name], got[name], where .. "." .. name)
    if difference then
      return difference
    end
  end
  for i = 1, #expected do
    local difference = declare.differs(expected[i], got[i], where .. "[" .. i .. "]")
    if difference then
      return difference
    end
  end
end

-- A test's expectation of a verdict; a rule's id may stand without the rule's name.
function declare.verdict_differs(expected, verdict, rule)
  if type(expected.rule) == "string" and verdict.rule == rule .. "/" .. expected.rule then
    verdict = declare.over(verdict, { rule = expected.rule })
  end
  return declare.differs(expected, verdict, "verdict")
end

return declare
