"""A plugin of pytest: the failed tests, one a line, into the file that SA_FAILED_LIST names; as
pytest takes them where it was started, which need not be the root that it found."""
import os

failed = []
root = ""


def pytest_configure(config):
    global root
    folder = os.path.relpath(config.rootpath, config.invocation_params.dir)
    root = "" if folder == "." else folder + "/"


def pytest_runtest_logreport(report):
    name = root + report.nodeid
    if report.failed and name not in failed:
        failed.append(name)


def pytest_sessionfinish():
    with open(os.environ["SA_FAILED_LIST"], "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in failed)
