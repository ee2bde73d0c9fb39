#!/usr/bin/python3
"""Write files as a C file that holds them: embed.py [--header H] [--table NAME] TARGET FOLDER FILE...

They are named by their path below FOLDER ("kernels/python.py"), in a table of the struct sa_embedded
that the header declares; by default those that sandboxes get.
"""
import argparse
import os
import sys

# The template root, which they go to, is a tmpfs of 16 MiB that has more to hold.
MOST_BYTES = 4 << 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--header", default="native/embedded.h")
    parser.add_argument("--table", default="sa_embedded")
    parser.add_argument("target")
    parser.add_argument("folder")
    parser.add_argument("paths", nargs="+")
    given = parser.parse_args()
    target, folder, paths = given.target, given.folder, given.paths
    total = 0
    with open(target, "w", encoding="utf-8") as out:
        out.write(f'#include "{given.header}"\n\n')
        table = []
        for index, path in enumerate(sorted(paths)):
            with open(path, "rb") as file:
                data = file.read()
            total += len(data)
            out.write(f"static const unsigned char file_{index}[] = {{\n")
            for i in range(0, len(data), 24):
                out.write("    " + "".join(f"{byte}," for byte in data[i : i + 24]) + "\n")
            out.write("    0};\n")
            name = os.path.relpath(path, folder)
            table.append(f'    {{"{name}", file_{index}, sizeof file_{index} - 1}},\n')
        out.write(f"const struct sa_embedded {given.table}[] = {{\n")
        out.write("".join(table) + "    {NULL, NULL, 0}};\n")
    if total > MOST_BYTES:
        sys.exit(f"embed.py: {total} bytes, more than {MOST_BYTES}: too much for the template root")


main()
