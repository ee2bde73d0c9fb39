"""The picture: four views of the year."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

import figures  # noqa: E402

BLUE, ORANGE, GREY, RED = "#2f6fb0", "#f0a030", "#8a8f98", "#c8402f"
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def months(axes, readings):
    rows = figures.by_month(readings)
    names = [row[0] for row in rows]
    axes.bar([n - 0.2 for n in names], [row[1] / 1000 for row in rows], 0.4, color=BLUE,
             label="used")
    axes.bar([n + 0.2 for n in names], [row[2] / 1000 for row in rows], 0.4, color=ORANGE,
             label="from the sun")
    axes.set(title="By month", ylabel="MWh", xticks=names)
    axes.legend(frameon=False)


def week(figure, axes, readings):
    image = axes.imshow(figures.week_profile(readings), aspect="auto", cmap="viridis")
    axes.set(title="A week, hour by hour", xlabel="hour", yticks=range(7))
    axes.set_yticklabels(DAYS)
    figure.colorbar(image, ax=axes, label="kWh")


def heating(axes, readings):
    working = [r for r in readings if figures.is_working(r)]
    slope, intercept, correlation = figures.heating_line(readings)
    axes.scatter([r.temperature for r in working], [r.consumption for r in working], s=3,
                 alpha=0.25, color=GREY, edgecolors="none")
    ends = [min(r.temperature for r in working), figures.HEATING_BELOW]
    axes.plot(ends, [intercept + slope * x for x in ends], color=RED, linewidth=2,
              label=f"{-slope:.2f} kWh a degree (r = {correlation:.2f})")
    axes.set(title="Working hours by temperature", xlabel="°C", ylabel="kWh")
    axes.legend(frameon=False)


def days(axes, readings, faults):
    rows = figures.by_day(readings)
    axes.plot([row[0] for row in rows], [row[1] for row in rows], color=BLUE, linewidth=0.9)
    totals = {row[0]: row[1] for row in rows}
    when = sorted({time.date() for time, _, _ in faults})
    axes.scatter(when, [totals[d] for d in when], color=RED, s=28, zorder=3, label="fault found")
    axes.set(title="By day", ylabel="kWh")
    axes.legend(frameon=False)


def draw(readings, path):
    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    figure.suptitle(f"An office building in {readings[0].time.year}", fontsize=15)
    months(a, readings)
    week(figure, b, readings)
    heating(c, readings)
    days(d, readings, figures.faults(readings))
    figure.savefig(path, dpi=110)
