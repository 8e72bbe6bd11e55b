"""No secret is left anywhere: a real process is sent one in every way, then its files and answers are searched."""

import base64
import json
import sqlite3
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.needle import traces, traces_in
from tests.needle_requests import KEY, KEY_NEEDLE, NEEDLE, USERNAME, Sent, send_everything
from tests.otlp_receiver import otlp_receiver
from tests.server_process import ServerProcess

SECRETS = (NEEDLE, KEY_NEEDLE)
# The message about an entry that is no IP address quotes it, to whoever sent it; no file holds it.
QUOTED = {"create: as an allowed IP", "validate: as an allowed IP"}
PLANTED = {
    "plain": NEEDLE.encode(),
    "lower case": NEEDLE.lower().encode(),
    "its first half": NEEDLE[:8].encode(),
    "its second half": NEEDLE[8:].encode(),
    "hex": NEEDLE.encode().hex().encode(),
    "HEX": NEEDLE.encode().hex().upper().encode(),
    "UTF-16": NEEDLE.encode("utf-16"),
    "URL": "".join(f"%{byte:02X}" for byte in NEEDLE.encode()).encode(),
    "JSON": "".join(f"\\u{ord(each):04X}" for each in NEEDLE).encode(),
    "base64": base64.b64encode(NEEDLE.encode()),
    "base64, one byte before": base64.b64encode(b"x" + NEEDLE.encode() + b"yz"),
    "base64, two bytes before": base64.b64encode(b"xx" + NEEDLE.encode() + b"y"),
    "base64 of a URL": base64.urlsafe_b64encode(b">>>?" + NEEDLE.encode()),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_needle_is_found(tmp_path: Path, planted: bytes) -> None:
    file = tmp_path / "inner" / "file"
    file.parent.mkdir()
    file.write_bytes(b"hay \x00\xff" + planted + b" hay")
    assert list(traces_in(tmp_path, NEEDLE)) == ["inner/file"]


@pytest.mark.parametrize("write", [json.dumps, lambda text: quote(text, safe="")], ids=["JSON", "URL"])
def test_a_planted_needle_of_odd_characters_is_found(write: object) -> None:
    odd = 'ä"\\/+ &%ü"\\/+ &%ß'
    assert callable(write)
    assert traces(odd, f"hay {write(odd)} hay".encode())


def test_a_planted_needle_is_found_in_a_database(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "x.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (text TEXT, bytes BLOB)")
    for text, blob in ((NEEDLE, b""), ("", NEEDLE.encode())):
        database.execute("DELETE FROM t")
        database.execute("INSERT INTO t VALUES (?, ?)", (text, blob))
        database.commit()
        assert list(traces_in(tmp_path, NEEDLE)) == ["x.db-wal"]
    database.close()


def test_hay_is_not_a_needle(tmp_path: Path) -> None:
    (tmp_path / "hay").write_bytes(bytes(range(256)) * 100 + NEEDLE[:7].encode() + NEEDLE[::-1].encode())
    assert traces_in(tmp_path, NEEDLE) == {}


def test_no_file_no_answer_no_metric_and_no_span_holds_a_secret(tmp_path: Path) -> None:
    with otlp_receiver() as receiver:
        often = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}  # milliseconds
        sent, metrics = sent_and_searched(ServerProcess(tmp_path, often, key=KEY))
    assert len(receiver.spans("createSipTrunk")) > len(receiver.spans("voice create")) > 2
    assert 'trunkline_operations_total{operation="createSipTrunk",outcome="user_errors"}' in metrics
    assert [traces(secret, told) for secret in SECRETS for told in (receiver.raw, metrics.encode())] == [[]] * 4
    assert_the_sending_was_worth_it(sent)
    assert_answers_are_clean(sent)
    looked_into = traces_in(tmp_path, USERNAME)
    assert {"trunkline.db", "sandbox.db"} <= looked_into.keys(), "what is no secret is found"
    assert len((tmp_path / "trunkline.log").read_text().splitlines()) > len(sent)


def sent_and_searched(server: ServerProcess) -> tuple[list[Sent], str]:
    """Send everything; all answers, and the metrics at the end. The files are clean, also after a death."""
    tmp_path = server.folder
    with server:
        sent = send_everything(server.url)
        metrics = httpx.get(f"{server.url}/metrics", headers={"authorization": f"Bearer {KEY}"}).text
        assert_is_clean(tmp_path)
        server.kill()  # so that the write-ahead logs stay as they are
        assert_is_clean(tmp_path)
        server.start()
    assert_is_clean(tmp_path)
    return sent, metrics


def assert_is_clean(folder: Path) -> None:
    for secret in SECRETS:
        assert traces_in(folder, secret) == {}


def assert_answers_are_clean(sent: list[Sent]) -> None:
    for secret in SECRETS:
        assert {each.name for each in sent if traces(secret, each.text)} <= QUOTED


def assert_the_sending_was_worth_it(sent: list[Sent]) -> None:
    """Two trunks were made, and both refusals as data and request errors of many kinds were met; nothing failed."""
    bodies = {each.name: each.response.json() for each in sent}
    created = [name for name, body in bodies.items() if "SIP trunk created successfully." in str(body)]
    assert created == ["create: good", "document: good literal"]
    told = [error["message"] for body in bodies.values() for error in body.get("errors", ())]
    assert len(set(told)) >= 25
    assert "Internal error" not in str(told)
    assert {each.response.status_code for each in sent} == {200, 400, 401, 403, 405, 413, 415, 421}


def test_the_keys_of_a_first_start_stand_in_their_own_files_only(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"TRUNKLINE_BOOTSTRAP_KEY": ""}) as server:
        key = (tmp_path / "api-key").read_text().strip()
        ring = (tmp_path / "secret-keys").read_text().strip()
        assert server.is_ready()
    assert traces_in(tmp_path, key[len("tl_12345678_") :]) == {"api-key": ["JSON", "URL", "plain"]}
    assert list(traces_in(tmp_path, ring.partition(":")[2].rstrip("="))) == ["secret-keys"]
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("api-key", "secret-keys")} == {0o600}
