"""Workspaces and API keys over HTTP: who asks, what may be made, what is told once, and what no key can do."""

import re
from asyncio import gather
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.event import Event
from models.workspace import KEYS_MAX, ApiKey, Workspace
from tests.api import Api, House, codes, quick_settings, served_house, until
from trunkline import database

KEY_FIELDS = "id name prefix scopes expiresAt lastUsedAt createdAt"
ERRORS = "userErrors { code message field retryable retryAfter }"
VIEWER = f"""{{ viewer {{
  workspace {{ id name createdAt }} apiKey {{ {KEY_FIELDS} }} apiKeys {{ {KEY_FIELDS} }}
  limits {{ sipTrunks requestsPerMinute provisionsInFlight }}
}} }}"""
CREATE_KEY = f"""mutation ($input: CreateApiKeyInput!) {{
  createApiKey(input: $input) {{ message apiKey {{ {KEY_FIELDS} }} secret {ERRORS} }}
}}"""
REVOKE = f"mutation ($id: ID!) {{ revokeApiKey(input: {{id: $id}}) {{ message revokedId {ERRORS} }} }}"
CREATE_WORKSPACE = f"""mutation ($input: CreateWorkspaceInput!) {{
  createWorkspace(input: $input) {{ message workspace {{ id name createdAt }} secret {ERRORS} }}
}}"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
ALL = ["READ", "WRITE", "OPERATOR"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with served_house(quick_settings(tmp_path)) as house:
        yield house


async def viewer(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask(VIEWER))["viewer"]
    return found


async def make_key(api: Api, name: str = "ci", scopes: list[str] = ALL, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = (await api.ask(CREATE_KEY, {"input": {"name": name, "scopes": scopes, **more}}))[
        "createApiKey"
    ]
    return made


async def revoke(api: Api, key_id: str) -> dict[str, Any]:
    done: dict[str, Any] = (await api.ask(REVOKE, {"id": key_id}))["revokeApiKey"]
    return done


async def make_workspace(api: Api, name: str = "tenant") -> dict[str, Any]:
    made: dict[str, Any] = (await api.ask(CREATE_WORKSPACE, {"input": {"name": name}}))["createWorkspace"]
    return made


async def status(house: House, secret: str) -> int:
    return (await house.holding(secret).raw("{ __typename }")).status_code


def soon(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


async def test_the_viewer_tells_who_asks(house: House) -> None:
    told = await viewer(house.api)
    workspace = await database.default_workspace()
    assert (told["workspace"]["id"], told["workspace"]["name"]) == (workspace.id, "default")
    assert (told["apiKey"]["name"], told["apiKey"]["scopes"], told["apiKey"]["expiresAt"]) == ("bootstrap", ALL, None)
    assert [key["id"] for key in told["apiKeys"]] == [told["apiKey"]["id"]]
    assert told["limits"] == {"sipTrunks": 10_000, "requestsPerMinute": 6_000, "provisionsInFlight": 100}


async def test_a_key_is_made_and_its_secret_told_once(house: House) -> None:
    made = await make_key(house.api, " night shift ", ["OPERATOR", "READ", "READ"], expiresAt=soon(days=1))
    assert (made["message"], made["userErrors"]) == ("API key created successfully.", [])
    key, secret = made["apiKey"], made["secret"]
    assert re.fullmatch(r"tl_\w{47}", secret)
    assert (key["name"], key["prefix"], key["scopes"]) == ("night shift", secret[:11], ["READ", "OPERATOR"])
    assert key in (await viewer(house.api))["apiKeys"]
    theirs = await viewer(house.holding(secret))
    assert theirs["apiKey"] | {"lastUsedAt": None} == key
    assert secret[12:] not in str(await viewer(house.api)) + str(await house.api.ask(NODE, {"id": key["id"]}))


BLANK = {"name": " ", "scopes": [], "expiresAt": "2020-01-01T00:00:00Z"}
WRONG: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (BLANK, [("REQUIRED", "name"), ("REQUIRED", "scopes"), ("OUT_OF_RANGE", "expiresAt")]),
    ({"name": "x" * 101}, [("TOO_LONG", "name")]),
    ({"name": "a\nb"}, [("INVALID_FORMAT", "name")]),
    ({"name": "a\0b"}, [("INVALID_FORMAT", "name")]),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG)
async def test_all_that_is_wrong_is_told_at_once(
    house: House, wrong: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    made = await make_key(house.api, **{"name": "ci", **wrong})
    assert [(error["code"], error["field"][-1]) for error in made["userErrors"]] == told
    assert (made["apiKey"], made["secret"], made["message"]) == (None, None, "The given data was invalid.")
    assert await ApiKey.all().count() == 1


@pytest.mark.parametrize("text", ["2099-01-01", "2099-01-01T00:00:00", "soon", 4070908800, "9999-12-31T23:59:59-12:00"])
async def test_a_time_without_its_offset_is_no_time(house: House, text: Any) -> None:
    answer = await house.api.raw(CREATE_KEY, {"input": {"name": "ci", "scopes": ["READ"], "expiresAt": text}})
    (error,) = answer.json()["errors"]
    assert error["message"].endswith("A value of type 'DateTime' is expected.")
    assert await ApiKey.all().count() == 1


async def test_a_key_gives_no_scope_that_it_lacks(house: House) -> None:
    limited = house.holding((await make_key(house.api, scopes=["OPERATOR", "READ"]))["secret"])
    made = await make_key(limited, scopes=ALL)
    assert codes(made) == ["FORBIDDEN"]
    assert made["userErrors"][0]["field"] == ["input", "scopes"]
    assert made["message"] == "An API key cannot give what it lacks itself: WRITE."
    assert codes(await make_key(limited, scopes=["READ", "OPERATOR"])) == []


async def test_a_key_that_expires_makes_none_that_works_longer(house: House) -> None:
    until = soon(hours=1)
    limited = house.holding((await make_key(house.api, expiresAt=until))["secret"])
    for later in ({}, {"expiresAt": None}, {"expiresAt": soon(hours=2)}):
        made = await make_key(limited, **later)
        assert [(error["code"], error["field"]) for error in made["userErrors"]] == [
            ("FORBIDDEN", ["input", "expiresAt"])
        ]
    assert codes(await make_key(limited, expiresAt=until)) == []
    assert codes(await make_key(limited, expiresAt=soon(minutes=1))) == []


async def test_a_revoked_key_is_refused_at_once_and_unknown(house: House) -> None:
    made = await make_key(house.api)
    key_id = made["apiKey"]["id"]
    assert (await house.api.ask(NODE, {"id": key_id}))["node"] == {"__typename": "ApiKey", "id": key_id}
    done = await revoke(house.api, key_id)
    assert (done["message"], done["revokedId"], done["userErrors"]) == ("API key revoked.", key_id, [])
    assert await status(house, made["secret"]) == 401
    assert (await house.api.ask(NODE, {"id": key_id}))["node"] is None
    assert key_id not in str(await viewer(house.api))
    for unknown in (key_id, "key_01h455vb4pex5vsknk084sn02q", "nonsense", ""):
        assert codes(await revoke(house.api, unknown)) == ["NOT_FOUND"]


async def test_the_last_key_that_can_make_keys_stays(house: House) -> None:
    own = (await viewer(house.api))["apiKey"]["id"]
    await make_key(house.api, "reader", ["READ", "WRITE"])
    expired = (await make_key(house.api, "expired"))["apiKey"]["id"]
    await ApiKey.filter(id=expired).update(expires_at=await database.now() - timedelta(seconds=1))
    refused = await revoke(house.api, own)
    assert (codes(refused), refused["revokedId"]) == (["IN_USE"], None)
    assert "make another one first" in refused["message"]
    other = (await make_key(house.api, "other"))["secret"]
    assert codes(await revoke(house.api, own)) == []
    assert await status(house, other) == 200


async def test_of_two_revocations_at_once_one_leaves_the_last_key(house: House) -> None:
    keys = [(await make_key(house.api, str(number)))["apiKey"]["id"] for number in range(4)]
    keys.append((await viewer(house.api))["apiKey"]["id"])
    done = await gather(*(house.api.raw(REVOKE, {"id": key_id}) for key_id in keys))
    assert [each.status_code for each in done if each.status_code not in {200, 401}] == []
    assert await ApiKey.filter(revoked_at=None).count() >= 1


async def test_there_is_an_end_to_the_number_of_keys(house: House) -> None:
    own = await ApiKey.get()
    columns = {name: getattr(own, name) for name in ("workspace_id", "name", "prefix", "digest", "pepper_id")}
    for number in range(KEYS_MAX - 1):
        await ApiKey.create(id=f"key_{number}", lookup=str(number), created_at=own.created_at, **columns)
    assert codes(await make_key(house.api)) == ["LIMIT_REACHED"]
    assert codes(await revoke(house.api, "key_0")) == []
    assert codes(await make_key(house.api)) == []


async def test_a_key_is_last_used_when_it_was_to_about_a_minute(house: House) -> None:
    made = await make_key(house.api)
    assert made["apiKey"]["lastUsedAt"] is None
    api = house.holding(made["secret"])

    async def is_noted() -> bool:
        return (await viewer(api))["apiKey"]["lastUsedAt"] is not None

    await until(is_noted)
    first = (await viewer(api))["apiKey"]["lastUsedAt"]
    assert datetime.now(UTC) - datetime.fromisoformat(first) < timedelta(minutes=1)
    await viewer(api)
    assert (await viewer(api))["apiKey"]["lastUsedAt"] == first


async def test_a_workspace_is_made_with_a_key_that_works_there(house: House) -> None:
    made = await make_workspace(house.api, " tenant ")
    assert (made["message"], made["userErrors"]) == ("Workspace created successfully.", [])
    theirs = await viewer(house.holding(made["secret"]))
    assert theirs["workspace"] == made["workspace"]
    assert (theirs["workspace"]["name"], theirs["apiKey"]["scopes"]) == ("tenant", ALL)
    assert [key["id"] for key in theirs["apiKeys"]] == [theirs["apiKey"]["id"]]
    assert (await house.api.ask(NODE, {"id": made["workspace"]["id"]}))["node"] is None
    own = await house.holding(made["secret"]).ask(NODE, {"id": made["workspace"]["id"]})
    assert own["node"] == {"__typename": "Workspace", "id": made["workspace"]["id"]}
    assert codes(await make_workspace(house.api)) == ["ALREADY_EXISTS"]
    assert codes(await make_workspace(house.api, "")) == ["REQUIRED"]


async def test_a_first_key_may_do_what_the_one_that_asked_may(house: House) -> None:
    limited = house.holding((await make_key(house.api, scopes=["OPERATOR", "READ"]))["secret"])
    theirs = await viewer(house.holding((await make_workspace(limited))["secret"]))
    assert theirs["apiKey"]["scopes"] == ["READ", "OPERATOR"]


async def test_tenants_make_no_workspaces(house: House) -> None:
    tenant = house.holding((await make_workspace(house.api))["secret"])
    refused = await make_workspace(tenant, "more room")
    assert (codes(refused), refused["workspace"], refused["secret"]) == (["FORBIDDEN"], None, None)
    assert codes(await make_workspace(tenant, "default")) == ["FORBIDDEN"]  # not: it exists
    assert await Workspace.all().count() == 2


async def test_every_change_leaves_an_event(house: House) -> None:
    own = (await viewer(house.api))["apiKey"]["id"]
    key_id = (await make_key(house.api))["apiKey"]["id"]
    await revoke(house.api, key_id)
    await revoke(house.api, key_id)
    workspace_id = (await make_workspace(house.api))["workspace"]["id"]
    left = await Event.exclude(actor="start").order_by("id")
    assert [(each.action, each.subject_id) for each in left] == [
        ("api_key.created", key_id),
        ("api_key.revoked", key_id),
        ("workspace.created", workspace_id),
    ]
    assert {each.actor for each in left} == {own}
    assert all(each.request_id for each in left)
    assert left[0].changed_fields == ["expiresAt", "name", "scopes"]
