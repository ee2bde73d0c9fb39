"""A plugin of pytest: the failed tests, one a line, into the file that SA_FAILED_LIST names."""
import os

failed = []


def pytest_runtest_logreport(report):
    if report.failed and report.nodeid not in failed:
        failed.append(report.nodeid)


def pytest_sessionfinish():
    with open(os.environ["SA_FAILED_LIST"], "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in failed)
