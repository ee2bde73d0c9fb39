"""What the readings say: totals, the building's habits, its heating line, faults."""
import collections
import datetime
import statistics

HEATING_BELOW = 16.0
FAULT_AT = 6.0  # times the usual deviation


def by_month(readings):
    """[(month, consumption, solar)] in kWh."""
    months = collections.defaultdict(lambda: [0.0, 0.0])
    for r in readings:
        months[r.time.month][0] += r.consumption
        months[r.time.month][1] += r.solar
    return [(month, *totals) for month, totals in sorted(months.items())]


def by_day(readings):
    """[(date, consumption, solar, mean temperature)]."""
    days = collections.defaultdict(list)
    for r in readings:
        days[r.time.date()].append(r)
    return [(day, sum(r.consumption for r in rs), sum(r.solar for r in rs),
             statistics.fmean(r.temperature for r in rs)) for day, rs in sorted(days.items())]


def week_profile(readings):
    """Mean consumption as [weekday][hour]."""
    cells = collections.defaultdict(list)
    for r in readings:
        cells[r.time.weekday(), r.time.hour].append(r.consumption)
    return [[statistics.fmean(cells[day, hour]) for hour in range(24)] for day in range(7)]


def heating_line(readings):
    """(slope, intercept, correlation) of consumption over temperature, cold working hours."""
    cold = [r for r in readings if is_working(r) and r.temperature < HEATING_BELOW]
    x, y = [r.temperature for r in cold], [r.consumption for r in cold]
    line = statistics.linear_regression(x, y)
    return line.slope, line.intercept, statistics.correlation(x, y)


def is_working(r):
    return r.time.weekday() < 5 and 7 <= r.time.hour < 19


def faults(readings):
    """Readings far above what the same hour used the days around it."""
    found = []
    for i, r in enumerate(readings):
        around = [readings[k].consumption for k in range(i - 24 * 7, i + 24 * 7 + 1, 24)
                  if 0 <= k < len(readings) and k != i and
                  is_working(readings[k]) == is_working(r)]
        middle = statistics.median(around)
        spread = statistics.median(abs(v - middle) for v in around) or 1.0
        if r.consumption - middle > FAULT_AT * 1.48 * max(spread, 2.0):
            found.append((r.time, r.consumption, middle))
    return found


def summary(readings):
    slope, intercept, correlation = heating_line(readings)
    used = sum(r.consumption for r in readings)
    made = sum(r.solar for r in readings)
    own = sum(min(r.consumption, r.solar) for r in readings)
    peak = max(readings, key=lambda r: r.consumption)
    return {
        "hours": len(readings),
        "mended": sum(r.mended for r in readings),
        "consumptionKwh": round(used),
        "solarKwh": round(made),
        "solarShare": round(own / used, 4),
        "peak": {"time": peak.time.isoformat(), "kwh": round(peak.consumption, 1)},
        "heating": {"kwhPerDegree": round(-slope, 2), "at0": round(intercept, 1),
                    "correlation": round(correlation, 3)},
        "faults": [{"time": t.isoformat(), "kwh": round(v, 1), "usual": round(u, 1)}
                   for t, v, u in faults(readings)],
        "year": datetime.date.fromisoformat(readings[0].time.date().isoformat()).year,
    }
