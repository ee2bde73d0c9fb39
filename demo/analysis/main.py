"""A year of meter readings -> summary.json, daily.csv and chart.png, and a few lines of text."""
import csv
import json
import sys

import chart
import figures
import readings


def write_days(rows, path):
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["date", "consumption_kwh", "solar_kwh", "temperature_c"])
        out.writerows((day, f"{used:.1f}", f"{made:.1f}", f"{degrees:.1f}")
                      for day, used, made, degrees in rows)


def main(source):
    data = readings.load(source)
    facts = figures.summary(data)
    print(f"{facts['hours']} hours read, {facts['mended']} gaps mended")
    print(f"used {facts['consumptionKwh']:,} kWh, made {facts['solarKwh']:,} kWh from the sun "
          f"({facts['solarShare']:.1%} of the need)")
    print(f"a degree colder costs {facts['heating']['kwhPerDegree']} kWh an hour "
          f"(r = {facts['heating']['correlation']})")
    for fault in facts["faults"][:3]:
        print(f"fault {fault['time']}: {fault['kwh']} kWh instead of {fault['usual']}")
    print(f"{len(facts['faults'])} faults in all", flush=True)
    with open("summary.json", "w") as file:
        json.dump(facts, file, indent=1)
    write_days(figures.by_day(data), "daily.csv")
    chart.draw(data, "chart.png")
    print("wrote summary.json, daily.csv, chart.png")


if __name__ == "__main__":
    main(sys.argv[1])
