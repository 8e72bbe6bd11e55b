"""Fail unless the tests of tests/real ran: each file, against each real server, and nothing was skipped.

usage: real_tests_ran.py JUNIT_XML
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

REAL = Path(__file__).resolve().parent.parent / "tests" / "real"
REAL_SERVER = "real server"  # what tests/real/conftest.py notes with each test
SERVERS = {"edge", "livekit", "livekit_sip", "postgres"}


def main(results: str) -> None:
    """Count what passed, tell it, and end with 1 when something is missing."""
    cases = list(ET.parse(results).getroot().iter("testcase"))  # noqa: S314  # written by our own pytest
    passed = [case for case in cases if not {"failure", "error", "skipped"} & {each.tag for each in case}]
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    files = Counter(case.get("classname", "").rpartition(".")[2] for case in passed if is_real(case))
    properties = [entry for case in passed for entry in case.iter("property")]
    servers = Counter(entry.get("value", "") for entry in properties if entry.get("name") == REAL_SERVER)
    missing = sorted(({path.stem for path in REAL.glob("test_*.py")} - files.keys()) | (SERVERS - servers.keys()))
    print(
        "Passed on real servers: " + ", ".join(f"{name} {count}" for name, count in (*files.items(), *servers.items()))
    )
    if missing or skipped or not files:
        sys.exit(f"Real tests did not run. Missing: {missing}; skipped: {skipped}.")


def is_real(case: ET.Element) -> bool:
    """Whether a test stands in tests/real."""
    return case.get("classname", "").startswith("tests.real.")


if __name__ == "__main__":
    main(sys.argv[1])
