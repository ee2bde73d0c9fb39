"""Makes building.csv: a year of hourly readings of an office building with solar panels. Always
the same bytes: the randomness is a small generator with a fixed seed."""
import datetime
import math
import pathlib

START = datetime.datetime(2025, 1, 1)
HOURS = 365 * 24


class Noise:
    """A linear congruential generator (Knuth's MMIX constants): the same everywhere."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 11) / 2**53

    def normal(self):
        return sum(self.uniform() for _ in range(12)) - 6


def temperature(hour, noise, front):
    day = hour / 24
    season = 10.5 - 9.5 * math.cos(2 * math.pi * (day - 20) / 365)
    daily = -3.2 * math.cos(2 * math.pi * (hour % 24 - 3) / 24)
    return season + daily + front + 0.4 * noise.normal()


def consumption(when, degrees, noise):
    working = when.weekday() < 5 and 7 <= when.hour < 19
    base = 42 if working else 14
    heating = max(0.0, 16 - degrees) * (1.9 if working else 0.9)
    cooling = max(0.0, degrees - 23) * (3.1 if working else 0.4)
    return base + heating + cooling + 1.8 * noise.normal()


def solar(when, hour, cloud):
    day = hour / 24
    length = 12 - 4.2 * math.cos(2 * math.pi * (day + 10) / 365)
    angle = (when.hour + 0.5 - 12.3) / length * math.pi
    height = math.cos(angle) if abs(angle) < math.pi / 2 else 0
    strength = 24 - 11 * math.cos(2 * math.pi * (day + 10) / 365)
    return max(0.0, strength * height * (1 - 0.8 * cloud))


def rows():
    noise, front, cloud = Noise(20250101), 0.0, 0.4
    for hour in range(HOURS):
        when = START + datetime.timedelta(hours=hour)
        front = 0.985 * front + 0.42 * noise.normal()
        cloud = min(1.0, max(0.0, 0.97 * cloud + 0.03 * 0.45 + 0.07 * noise.normal()))
        degrees = temperature(hour, noise, front)
        used = consumption(when, degrees, noise)
        made = solar(when, hour, cloud)
        if noise.uniform() < 0.0012:  # a fault: something ran that should not
            used += 45 + 30 * noise.uniform()
        missing = noise.uniform() < 0.006  # the meter did not answer
        yield (when.strftime("%Y-%m-%d %H:%M"), f"{degrees:.1f}",
               "" if missing else f"{used:.2f}", f"{made:.2f}")


def main():
    lines = ["time,temperature_c,consumption_kwh,solar_kwh"]
    lines += [",".join(row) for row in rows()]
    path = pathlib.Path(__file__).with_name("building.csv")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
