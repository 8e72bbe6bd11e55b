"""No secret is left in a PostgreSQL either: not in a dump, not in its write-ahead log, not in its own log."""

import subprocess
from pathlib import Path

from models.secret import Keyring
from tests.needle import traces, traces_in
from tests.needle_requests import KEY, KEY_NEEDLE, NEEDLE, USERNAME, send_everything
from tests.real.servers import Postgres
from tests.server_process import ServerProcess


def test_postgres_holds_no_secret(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    ring = Keyring.generate("k1")
    settings = {"TRUNKLINE_DATABASE_URL": postgres_url, "TRUNKLINE_SECRET_KEYS": ring}
    with ServerProcess(tmp_path, settings, key=KEY) as server:
        sent = send_everything(server.url)
        server.kill()
    assert [each.name for each in sent if "SIP trunk created successfully." in each.response.text] == [
        "create: good",
        "document: good literal",
    ]
    command = [str(postgres.binaries / "pg_dump"), "--dbname", postgres_url]
    dump = subprocess.run(command, capture_output=True, check=True).stdout
    assert postgres.daemon.folder
    written = postgres.daemon.folder / "data" / "pg_wal"
    for secret in (NEEDLE, KEY_NEEDLE, ring.partition(":")[2], postgres.password):
        assert traces(secret, dump + postgres.daemon.log.read_bytes()) == []
        assert traces_in(tmp_path, secret) == {}
    for secret in (NEEDLE, KEY_NEEDLE):
        assert traces_in(written, secret) == {}
    assert "plain" in traces(USERNAME, dump)
    assert traces_in(written, USERNAME)
