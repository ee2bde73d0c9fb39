"""Reading the meter's file and mending it."""
import csv
import dataclasses
import datetime


@dataclasses.dataclass
class Reading:
    time: datetime.datetime
    temperature: float
    consumption: float
    solar: float
    mended: bool = False


def load(path):
    """All readings; a consumption that is missing is taken from its neighbours."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    known = [i for i, row in enumerate(rows) if row["consumption_kwh"]]
    readings, at = [], 0
    for i, row in enumerate(rows):
        while at + 1 < len(known) and known[at + 1] <= i:
            at += 1
        readings.append(Reading(
            time=datetime.datetime.strptime(row["time"], "%Y-%m-%d %H:%M"),
            temperature=float(row["temperature_c"]),
            consumption=float(row["consumption_kwh"] or between(rows, known, at, i)),
            solar=float(row["solar_kwh"]),
            mended=not row["consumption_kwh"]))
    return readings


def between(rows, known, at, i):
    """Linear between the last known value and the next."""
    before = known[at]
    after = known[min(at + 1, len(known) - 1)]
    low, high = (float(rows[k]["consumption_kwh"]) for k in (before, after))
    share = (i - before) / (after - before) if after > before else 0
    return low + (high - low) * share
