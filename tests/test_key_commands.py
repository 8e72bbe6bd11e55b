"""The commands `workspaces` and `api-keys`: what they print, and what they refuse."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from models.event import Event
from tests.api import quick_settings, served_house
from tests.test_command_line import Run, run
from tests.test_workspaces import viewer

__all__ = ["run"]


def made(result: Result) -> tuple[str, str]:
    """The id and the secret that were printed."""
    first, second = result.output.splitlines()
    return first, second


def test_a_key_is_made_listed_and_revoked(run: Run) -> None:
    key_id, secret = made(run("api-keys", "create", " night shift "))
    assert re.fullmatch(r"tl_\w{47}", secret)
    listed = f"{key_id}  {secret[:11]}…  {{}}  READ,WRITE,OPERATOR  default  night shift\n"
    assert run("api-keys", "list").output == listed.format("active")
    told = "Its workspace has no working key with the scope OPERATOR any more: `api-keys create`."
    assert run("api-keys", "revoke", key_id).output == f"Revoked.\n{told}\n"
    assert run("api-keys", "list").output == listed.format("revoked")
    for unknown in (key_id, "key_unknown"):
        assert run("api-keys", "revoke", unknown, status=1).stderr == f"Error: No active key has the id {unknown}.\n"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\x1b[31mb", "\ud800"])
def test_a_name_can_be_printed(run: Run, name: str) -> None:
    for command in ("api-keys", "workspaces"):
        assert "1-100 printable characters" in run(command, "create", name, status=2).stderr


def test_a_workspace_is_made_and_listed(run: Run) -> None:
    workspace_id, secret = made(run("workspaces", "create", " tenant "))
    assert re.fullmatch(r"ws_\w{26}", workspace_id)
    assert [line.split("  ")[1] for line in run("workspaces", "list").output.splitlines()] == ["default", "tenant"]
    assert f"{secret[:11]}…  active  READ,WRITE,OPERATOR  tenant  first" in run("api-keys", "list").output
    taken = run("workspaces", "create", "tenant", status=1).stderr
    assert taken == "Error: A workspace with this name already exists.\n"


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_key_of_some_scopes_that_ends(run: Run, tmp_path: Path, by: str) -> None:
    workspace_id, _ = made(run("workspaces", "create", "tenant"))
    where = ("--workspace", "tenant" if by == "name" else workspace_id)
    ends = ("--expires", "2099-01-31T01:00:00+01:00")
    key_id, secret = made(run("api-keys", "create", "ci", "--scope", "READ", "--scope", "WRITE", *ends, *where))

    async def served() -> tuple[dict[str, Any], Event]:
        async with served_house(quick_settings(tmp_path)) as house:
            return await viewer(house.holding(secret)), await Event.get(subject_id=key_id)

    told, event = asyncio.run(served())
    assert (told["workspace"]["id"], told["apiKey"]["scopes"]) == (workspace_id, ["READ", "WRITE"])
    assert told["apiKey"]["expiresAt"] == "2099-01-31T00:00:00.000000Z"
    assert (event.actor, event.action, event.workspace_id) == ("command line", "api_key.created", workspace_id)


@pytest.mark.parametrize("text", ["yesterday", "2020-01-01", "0d", "-1d", "9999999999d", ""])
def test_an_end_lies_in_the_future(run: Run, text: str) -> None:
    assert "--expires" in run("api-keys", "create", "ci", "--expires", text, status=2).stderr


@pytest.mark.parametrize("text", ["1d", "2099-01-31", "2099-01-31T18:00:00Z"])
def test_an_end_may_be_days_or_a_date_or_a_time(run: Run, text: str) -> None:
    run("api-keys", "create", "ci", "--expires", text)
    assert "  active  " in run("api-keys", "list").output


def test_what_is_unknown_is_refused(run: Run) -> None:
    assert "ADMIN" in run("api-keys", "create", "ci", "--scope", "ADMIN", status=2).stderr
    unknown = run("api-keys", "create", "ci", "--workspace", "nobody", status=1).stderr
    assert unknown == "Error: There is no workspace nobody.\n"


def test_a_first_start_makes_its_key_although_others_have_one(run: Run, tmp_path: Path) -> None:
    run("workspaces", "create", "tenant")

    async def served() -> dict[str, Any]:
        async with served_house(quick_settings(tmp_path, bootstrap_key=None)) as house:
            return await viewer(house.holding((tmp_path / "api-key").read_text().strip()))

    assert asyncio.run(served())["workspace"]["name"] == "default"
