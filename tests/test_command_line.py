"""The commands: what each prints, and that every refusal is one line on standard error."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from models.secret import Keyring
from tests.commands import all_of, command, refused
from trunkline.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process on a database of its own."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "TRUNKLINE_SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", f"sqlite://{tmp_path}/trunkline.db")

    def run_it(*arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == status, result.output
        return result

    return run_it


def test_help_names_every_command(run: Run) -> None:
    for flag in ("-h", "--help"):
        text = run(flag).output
        for name in ("serve", "migrate", "schema", "workspaces", "api-keys", "keyring", "adopt"):
            assert re.search(rf"^  {name} +[A-Z]", text, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [("serve",), ("migrate",), ("schema",), ("api-keys",), ("api-keys", "create"), ("keyring",), ("keyring", "new")],
)
def test_every_command_has_help(run: Run, arguments: tuple[str, ...]) -> None:
    assert "Usage: " in run(*arguments, "--help").output


def test_serve_tells_its_options(run: Run) -> None:
    text = run("serve", "--help").output
    assert "--host" in text
    assert "--port" in text


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_a_wrong_port_is_refused(run: Run, port: str) -> None:
    assert "--port" in run("serve", "--port", port, status=2).stderr


def test_migrate_makes_a_database_and_may_be_repeated(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("migrate").output == "The database is up to date.\n"
    assert (tmp_path / "trunkline.db").stat().st_mode & 0o777 == 0o600


def test_schema_prints_the_schema_and_touches_no_database(run: Run, tmp_path: Path) -> None:
    assert run("schema").output == (ROOT / "schema.graphql").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_new_ring_is_printed_and_kept_nowhere(run: Run, tmp_path: Path) -> None:
    for arguments, key_id in (((), "k1"), (("2026",), "2026")):
        printed = run("keyring", "new", *arguments).output
        assert Keyring.parse(printed).key_ids == (key_id,)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key_id", ["K1", "a-b", "", "k" * 17, "k1:x"])
def test_a_wrong_key_id_is_refused(run: Run, key_id: str) -> None:
    assert "1-16 lower case letters or digits" in run("keyring", "new", key_id, status=2).stderr


def test_a_fitting_ring_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "The ring fits. Writing with k1; reading k1.\nk1: used for nothing.\n"
    assert run("keyring", "check").output == told
    old, new = Keyring.generate("k1"), Keyring.generate("k2")
    monkeypatch.setenv("TRUNKLINE_SECRET_KEYS", f"{new},{old}")
    uses = "k2: used for nothing.\nk1: used for nothing; it can be dropped.\n"
    assert run("keyring", "check").output == f"The ring fits. Writing with k2; reading k2, k1.\n{uses}"


def test_a_refusal_is_one_line_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"no database at all " * 500)
    garbage = f"sqlite://{tmp_path}/garbage.db"
    lines = all_of(
        [
            command(tmp_path / "1", "migrate", TRUNKLINE_PORT="http"),
            command(tmp_path / "2", "serve", "--port", "0", TRUNKLINE_DATABASE_URL=garbage),
            command(tmp_path / "3", "serve", "--port", "0", "--host", "host.invalid"),
        ]
    )
    assert [refused(line) for line in lines] == [
        "trunkline: TRUNKLINE_PORT: must be a whole number from 0 to 65535",
        f"trunkline: TRUNKLINE_DATABASE_URL: {garbage} cannot be used (DatabaseError)",
        "trunkline: TRUNKLINE_HOST: host.invalid:0 cannot be listened on: Name or service not known",
    ]
