/* Numbers, quantities and time. What is not one is nil, so that a rule can say so itself. */
#include "env.h"

#include "json/quantity.h"

#include <math.h>
#include <string.h>

static int units_clamp(lua_State *L)
{
    double x = luaL_checknumber(L, 1), low = luaL_checknumber(L, 2), high = luaL_checknumber(L, 3);
    lua_pushnumber(L, x < low ? low : x > high ? high : x);
    return 1;
}

static int units_round(lua_State *L)
{
    lua_pushnumber(L, floor(luaL_checknumber(L, 1) + 0.5));
    return 1;
}

/* A number stays what it is. The text of a string, or NULL and a pushed answer. */
static const char *text_of(lua_State *L)
{
    size_t length;
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TNUMBER)
        return NULL;
    const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &length) : NULL;
    if (text && length < 64 && strlen(text) == length)
        return text;
    lua_pushnil(L);
    return NULL;
}

static int units_quantity(lua_State *L)
{
    int64_t bytes;
    const char *text = text_of(L);
    if (!text)
        return 1;
    if (sa_quantity_bytes(text, &bytes, NULL) == 0)
        lua_pushnumber(L, (lua_Number)bytes);
    else
        lua_pushnil(L);
    return 1;
}

static int units_millicores(lua_State *L)
{
    int64_t millicores;
    const char *text = text_of(L);
    if (!text) {
        if (lua_type(L, 1) == LUA_TNUMBER)
            lua_pushnumber(L, lua_tonumber(L, 1) * 1000);
        return 1;
    }
    if (sa_quantity_cpu(text, &millicores, NULL) == 0)
        lua_pushnumber(L, (lua_Number)millicores);
    else
        lua_pushnil(L);
    return 1;
}

/* "1h30m", "300ms", "90": seconds; NAN: it is none. */
static double seconds_of(const char *text)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double sum = 0;
    if (!*text)
        return NAN;
    while (*text) {
        double number = 0, scale = 1;
        size_t digits = strspn(text, "0123456789"), i, u;
        for (i = 0; i < digits; i++)
            number = number * 10 + (text[i] - '0');
        if (text[i] == '.') {
            for (i++; text[i] >= '0' && text[i] <= '9'; i++, digits++)
                number += (text[i] - '0') * (scale /= 10);
        }
        if (!digits)
            return NAN;
        text += i;
        if (!*text && sum == 0) /* a plain number */
            return number;
        for (u = 0; u < sizeof units / sizeof units[0]; u++)
            if (strspn(text, "msdh") == strlen(units[u].unit) &&
                strncmp(text, units[u].unit, strlen(units[u].unit)) == 0)
                break;
        if (u == sizeof units / sizeof units[0])
            return NAN;
        sum += number * units[u].seconds;
        text += strlen(units[u].unit);
    }
    return sum;
}

static int units_duration(lua_State *L)
{
    const char *text = text_of(L);
    if (!text)
        return 1;
    double seconds = seconds_of(text);
    if (isfinite(seconds))
        lua_pushnumber(L, seconds);
    else
        lua_pushnil(L);
    return 1;
}

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar: years begin in March, so
 * that the leap day is the last; 400 years are 146097 days. */
static void civil(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static void set_number(lua_State *L, const char *name, int64_t value)
{
    lua_pushnumber(L, (lua_Number)value);
    lua_setfield(L, -2, name);
}

/* utc(seconds, offsetMinutes?) */
static int units_utc(lua_State *L)
{
    double at = floor(luaL_checknumber(L, 1)), offset = floor(luaL_optnumber(L, 2, 0));
    int64_t year;
    int month, day;
    if (!(fabs(at) < 4e11 && fabs(offset) <= 24 * 60))
        sa_vm_raise(L, SA_VM_ERROR, "utc(): the time is out of range");
    int64_t seconds = (int64_t)at + (int64_t)offset * 60;
    int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
    int64_t of_day = seconds - days * 86400;
    civil(days, &year, &month, &day);
    lua_createtable(L, 0, 7);
    set_number(L, "year", year);
    set_number(L, "month", month);
    set_number(L, "day", day);
    set_number(L, "hour", of_day / 3600);
    set_number(L, "minute", of_day / 60 % 60);
    set_number(L, "second", of_day % 60);
    set_number(L, "weekday", ((days + 3) % 7 + 7) % 7 + 1); /* 1970-01-01 was a Thursday */
    return 1;
}

const luaL_Reg sa_lib_units[] = {{"clamp", units_clamp},
                                 {"round", units_round},
                                 {"quantity", units_quantity},
                                 {"millicores", units_millicores},
                                 {"duration", units_duration},
                                 {"utc", units_utc},
                                 {NULL, NULL}};
