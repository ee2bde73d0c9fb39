#!/usr/bin/python3
"""Write the interface description (openapi.py) as a C file that holds it as JSON."""
import json
import sys

import openapi


def main() -> None:
    (target,) = sys.argv[1:]
    text = json.dumps(openapi.load(), separators=(",", ":")).encode()
    with open(target, "w", encoding="utf-8") as out:
        out.write('#include "api/openapi_json.h"\n\nconst char sa_openapi_json[] = {\n')
        for i in range(0, len(text), 24):
            out.write("    " + "".join(f"{byte}," for byte in text[i : i + 24]) + "\n")
        out.write("    0};\nconst size_t sa_openapi_json_length = sizeof sa_openapi_json - 1;\n")


main()
