"""The README and docs/ tell the truth: examples are sent for real, tables are compared with what they describe."""

import dataclasses
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api import quick_settings, served_house
from trunkline.problems import Code
from trunkline.settings import EDGE_NAMES, LIVEKIT_NAMES, PREFIX, Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
FOLDERS = "docs|examples|gql|models|requirements|scripts|tests|trunkline"
EXAMPLE = re.compile(r"```sh\n(curl .*?)\n```\n\n```json\n(.*?)\n```", re.DOTALL)
SETTING_ROW = re.compile(r"^\| `((?:TRUNKLINE|LIVEKIT)_\w+)` \| (.*?) \|", re.MULTILINE)
LOG_EVENT = re.compile(r'\blog\.\w+\([^")]*"(\w+)"')
NOT_SAID_AGAIN = {  # what differs from run to run
    r"tl_\w+": "tl_…",
    r"trunk_[0-9a-z]{26}": "trunk_…",
    r"ST_\w{12}": "ST_…",
    r"SDR_\w{12}": "SDR_…",
    r"asst_[0-9a-z]{26}": "asst_…",
    r"key_[0-9a-z]{26}": "key_…",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "…Z",
    r'"endCursor": "[\w-]+"': '"endCursor": "…"',
}


def examples() -> list[tuple[list[str], Any]]:
    return [(shlex.split(command), json.loads(answer)) for command, answer in EXAMPLE.findall(README)]


def option(command: list[str], name: str) -> list[str]:
    return [command[place + 1] for place, word in enumerate(command) if word == name]


def steady(answer: Any) -> Any:
    """An answer without ids and times, and without the warning that depends on this machine's name servers."""
    for payload in answer["data"].values():
        warnings = payload.get("warnings", [])
        payload |= {"warnings": [each for each in warnings if each["code"] != "ADDRESS_NOT_RESOLVED"]}
    text = json.dumps(answer, sort_keys=True)
    for pattern, said in NOT_SAID_AGAIN.items():
        text = re.sub(pattern, said, text)
    return json.loads(text)


async def test_the_examples_answer_what_is_written(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, provision_timeout=15.0)
    async with served_house(settings) as house:
        trunk_id = ""
        for command, written in examples():
            headers = dict(header.split(": ", 1) for header in option(command, "-H"))
            assert headers.pop("Authorization") == "Bearer $(cat data/api-key)"  # the client's own stands for it
            (url,) = (word for word in command if word.startswith("http://127.0.0.1:8000"))
            (body,) = option(command, "-d")
            content = body.replace("$TRUNK", trunk_id)
            answer = await house.api.client.post(urlsplit(url).path, content=content, headers=headers)
            trunk_id = (
                trunk_id or answer.json()["data"]["createSipTrunk"]["sipTrunk"]["id"]
            )  # what the reader puts there
            assert steady(answer.json()) == steady(written)


def test_there_is_an_example_of_each_operation() -> None:
    asked = "".join(option(command, "-d")[0] for command, _ in examples())
    operations = ("create", "validate", "update", "delete")
    for operation in (*(f"{verb}SipTrunk(" for verb in operations), "sipTrunks(", "createAssistant(", "createApiKey("):
        assert operation in asked
    assert README.count("curl -s ") == len(examples())


class Asked(dict[str, str]):
    """An empty environment that notes what is looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        self.names.append(name)
        return default


def test_the_table_holds_every_setting_and_no_other() -> None:
    asked = Asked()
    read_settings(asked)
    assert [name for name, _ in SETTING_ROW.findall(README)] == asked.names
    assert len(asked.names) == len(dataclasses.fields(Settings)) - 2 + len(LIVEKIT_NAMES) + len(EDGE_NAMES)


@pytest.mark.parametrize(("name", "written"), SETTING_ROW.findall(README))
def test_the_table_holds_the_defaults(name: str, written: str) -> None:
    default = getattr(Settings(), name.removeprefix(PREFIX).lower(), None)
    if isinstance(default, int | float):
        assert written == f"`{default:g}`"
    elif isinstance(default, str):
        assert written == f"`{default}`"
    else:
        assert written


def test_the_default_database_is_the_one_in_the_table() -> None:
    written = dict(SETTING_ROW.findall(README))
    assert written["TRUNKLINE_DATABASE_URL"] == f"`sqlite://{Settings().sqlite_file}`"
    served = written["TRUNKLINE_ALLOWED_HOSTS"].split("`")[1]
    assert set(served.split(",")) == Settings().served_hosts


def test_every_code_is_told() -> None:
    assert [code for code in Code if f"`{code}`" not in README] == []


def local_links(page: Path) -> Iterator[Path]:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            yield page.parent / target
    for word in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text):
        yield ROOT / word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_refers_to_is_there(page: Path) -> None:
    assert [str(path) for path in local_links(page) if not path.exists()] == []


def test_links_within_the_readme_lead_somewhere() -> None:
    headings = {line.strip("# ").lower().replace(" ", "-") for line in README.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings


def test_every_event_of_the_log_is_explained() -> None:
    sources = [path.read_text() for folder in ("gql", "trunkline") for path in (ROOT / folder).rglob("*.py")]
    events = {event for source in sources for event in LOG_EVENT.findall(source)}
    assert {"request", "reconcile_failed"} <= events
    explained = (ROOT / "docs" / "operating.md").read_text()
    assert [event for event in sorted(events) if f"`{event}`" not in explained] == []
