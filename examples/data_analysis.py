#!/usr/bin/env python3
"""Data analysis: a table goes into a sandbox, figures and a chart come out.

Shows: files, code that keeps its variables between calls, results as text and as an image.

    python3 examples/data_analysis.py [CHART.png]
"""

import random
import sys

from secureagent import Sandbox

chart = sys.argv[1] if len(sys.argv) > 1 else "chart.png"

# Half a year of temperatures, as somebody might upload them.
random.seed(7)
rows = [f"{day},{10 + 8 * day / 180 + random.gauss(0, 2):.1f}" for day in range(180)]

with Sandbox.create(runtime="python", labels={"example": "data-analysis"}) as sb:
    sb.files.write("temperatures.csv", "day,celsius\n" + "\n".join(rows) + "\n")

    # What is read here stays for the next call.
    sb.run_code(
        """
import csv, statistics
with open("temperatures.csv") as file:
    rows = [(int(row["day"]), float(row["celsius"])) for row in csv.DictReader(file)]
days, celsius = zip(*rows)
""",
        check=True,
    )
    mean = sb.run_code("round(statistics.mean(celsius), 2)", check=True)
    slope = sb.run_code("round(statistics.linear_regression(days, celsius).slope * 30, 2)", check=True)
    print(f"{len(rows)} days, {mean.text} degrees on average, {slope.text} more each month")

    plot = sb.run_code(
        """
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(8, 3))
axes.plot(days, celsius, ".", alpha=0.4)
fit = statistics.linear_regression(days, celsius)
axes.plot(days, [fit.intercept + fit.slope * day for day in days])
axes.set(xlabel="day", ylabel="°C", title="It gets warmer")
plt.show()
""",
        check=True,
        timeout=120,
    )
    image = next(result.png for result in plot.results if result.png)
    with open(chart, "wb") as file:
        file.write(image)
    print(f"{chart}: {len(image)} bytes")
