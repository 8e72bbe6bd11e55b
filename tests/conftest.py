"""What every test shares: asyncio, and the word at the end on real servers that were missing."""

from collections import Counter

import pytest

REAL_SERVER = "real server"
TOLD = (
    "calls explained",
    "isolation",
    "calls over TLS",
    "crash matrix",
    "fault storm",
    "schemathesis",
    "calls of a carrier",
    "calls to a carrier",
    "test calls",
    "self tests",
    "a call through the edge",
)  # what a test has to say, by record_property


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": False}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests met a real server, and loudly which could not."""
    done = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    meetings = {(each.nodeid, value) for each in done for name, value in each.user_properties if name == REAL_SERVER}
    met = Counter(server for _, server in meetings)
    if met:
        terminalreporter.section("real servers")
        terminalreporter.line(", ".join(f"{server}: {count} tests" for server, count in sorted(met.items())))
    for title in TOLD:
        lines = [str(value) for report in done for name, value in report.user_properties if name == title]
        if lines:
            terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)
    again = terminalreporter.getreports("rerun")
    if again:
        terminalreporter.section("FAILED AND TRIED AGAIN", red=True, bold=True)
    for report in again:
        terminalreporter.line(f"{report.nodeid}\n{report.longreprtext}", red=True)
    missing = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    if missing:
        terminalreporter.section("NOT TESTED: A REAL SERVER IS MISSING", red=True, bold=True)
    for reason, count in missing.most_common():
        terminalreporter.line(f"{count} tests: {reason}", red=True)


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else report.longreprtext
