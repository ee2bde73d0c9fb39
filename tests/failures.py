#!/usr/bin/python3
"""The failing tests of a log of tests/run, one a line with the reason: what was meant to be seen
first, wherever the rest of the output is cut.

    tests/failures.py LOG [MOST]
"""
import pathlib
import re
import sys

WIDTH = 200


def pytest(lines):
    """Of its summary: `FAILED test - reason`, `ERROR test - reason`."""
    return [line.split(" ", 1)[1] for line in lines if re.match(r"(FAILED|ERROR) \S+\.py(::| - )", line)]


def cmocka(lines):
    """Of `ctest -V`, where each line begins with the number of its program: programs run side by
    side. The reason stands above the name."""
    found, reasons, programs = [], {}, {}
    for line in lines:
        if ctest := re.match(r" *\d+/\d+ Test +#(\d+): (\S+) \.*(\*\*\*\S.*)", line):
            number, program, outcome = ctest.groups()
            if number not in programs:  # it died, or took too long
                reason = "; ".join(reasons.get(number, []))
                found.append(f"{program}: {' '.join(outcome.strip('*').split())}{': ' + reason if reason else ''}")
            continue
        if not (match := re.match(r"(\d+): (.*)", line)):
            continue
        number, text = match.groups()
        said = reasons.setdefault(number, [])
        if re.match(r"\[ RUN +\]", text):
            said.clear()
        elif message := re.match(r"\[ +(?:ERROR|LINE) +\] --- (.*)|(ERROR: .*|.*(?:runtime error|Sanitizer): .*)", text):
            said.append(message.group(1) or message.group(2))
        elif (failed := re.match(r"\[  FAILED  \] (\w+|GROUP \w+)$", text)) and said:
            place = next((s for s in reversed(said) if re.match(r"\S+:\d+: error", s)), "")
            why = "; ".join(s for s in said if s and s != place and not s.startswith("[ "))
            found.append(": ".join(filter(None, (failed.group(1), place.removesuffix(": error: Failure!"), why))))
            programs[number] = True
            said.clear()
    return found


def escape(lines):
    """`NOT STOPPED as MODE: case`, and the last line of the traceback below it."""
    found = []
    for line in lines:
        if line.startswith("NOT STOPPED as "):
            found.append([line.removeprefix("NOT STOPPED as "), ""])
        elif found and re.match(r"[\w.]+(Error|Exception|Failed|Expired|Timeout|Exit)\b|AssertionError|assert ", line):
            found[-1][1] = line
    return [": ".join(filter(None, one)) for one in found]


def others(lines):
    """Compilers, checkers, fuzzers."""
    pattern = re.compile(r"(\bfatal )?\berror: |\bwarning: |^FAILED: |^SUMMARY: |^fuzz .*status [1-9]|: not formatted")
    return list(dict.fromkeys(line for line in lines if pattern.search(line)))


def failures(text):
    lines = text.splitlines()
    found = pytest(lines) + cmocka(lines) + escape(lines) or others(lines)
    return found or [line for line in lines if line.strip()][-5:]


def main():
    path, most = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    found = failures(path.read_text(errors="replace"))
    for line in found[:most]:
        print("        " + line[:WIDTH])
    if len(found) > most:
        print(f"        ... and {len(found) - most} more")


if __name__ == "__main__":
    main()
