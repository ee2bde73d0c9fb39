#!/usr/bin/python3
"""Write the interface description (openapi.py) as a C file that holds it as JSON."""
import json
import sys

import openapi


def queries(document: dict) -> list[tuple[str, str, str]]:
    """(method, path, " name name ") of what may stand in the query of each operation."""
    def resolve(parameter: dict) -> dict:
        if "$ref" not in parameter:
            return parameter
        return document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]

    found = []
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            if method == "parameters" or operation.get("x-any-query"):
                continue
            every = map(resolve, entry.get("parameters", []) + operation.get("parameters", []))
            names = [p["name"] for p in every if p["in"] == "query"]
            found.append((method.upper(), path, "".join(f" {name}" for name in names) + " "))
    return found


def main() -> None:
    (target,) = sys.argv[1:]
    document = openapi.load()
    text = json.dumps(document, separators=(",", ":")).encode()
    with open(target, "w", encoding="utf-8") as out:
        out.write('#include "api/openapi_json.h"\n\nconst char sa_openapi_json[] = {\n')
        for i in range(0, len(text), 24):
            out.write("    " + "".join(f"{byte}," for byte in text[i : i + 24]) + "\n")
        out.write("    0};\nconst size_t sa_openapi_json_length = sizeof sa_openapi_json - 1;\n")
        out.write("\nconst struct sa_openapi_query sa_openapi_queries[] = {\n")
        for method, path, names in queries(document):
            out.write(f'    {{"{method}", "{path}", "{names}"}},\n')
        out.write("    {0}};\n")


main()
