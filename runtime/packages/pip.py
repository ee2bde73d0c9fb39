"""Install packages from the operator's directory. Says what pip says on stderr, and on stdout what
was installed, as JSON."""
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from importlib import metadata

MIRROR = "/opt/secureagent/packages"
# Not .tgz: those are npm's, and pip would try them.
ENDINGS = (".whl", ".tar.gz", ".zip")


def write_index(path):
    """The page of links that pip chooses from: all of the directory and the folders in it."""
    with open(path, "w", encoding="utf-8") as page:
        for folder, _, names in os.walk(MIRROR):
            for name in names:
                if name.endswith(ENDINGS):
                    address = pathlib.Path(folder, name).as_uri()
                    page.write(f'<a href="{html.escape(address)}">{html.escape(name)}</a>\n')


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def present(names):
    """What was asked for and is there, which pip's report leaves out."""
    for name in names:
        try:
            yield {"name": name, "version": metadata.version(name)}
        except metadata.PackageNotFoundError:
            pass


def main(packages):
    if not os.path.isdir(MIRROR):
        print("this server offers no packages, and sandboxes have no network: it is started with --package-mirror DIR",
              file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        write_index(os.path.join(folder, "index.html"))
        # Run in the folder, so that what pip says names it the same each time.
        status = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--user", "--no-index", "--find-links", "index.html", "--no-input",
             "--disable-pip-version-check", "--no-warn-script-location", "--no-cache-dir", "--progress-bar", "off",
             "--report", report, "--", *packages], cwd=folder, stdin=subprocess.DEVNULL, stdout=2).returncode
        if status != 0:
            return status if status > 0 else 1
        with open(report, encoding="utf-8") as file:
            new = [{"name": item["metadata"]["name"], "version": item["metadata"]["version"]}
                   for item in json.load(file).get("install", [])]
    known = {normal(item["name"]) for item in new}
    asked = [re.match(r"[A-Za-z0-9._-]*[A-Za-z0-9]", package)[0] for package in packages]
    print(json.dumps(new + list(present(name for name in asked if normal(name) not in known))))
    return 0


sys.exit(main(sys.argv[1:]))
