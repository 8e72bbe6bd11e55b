"""Every setting: its name, its default, what it takes. A wrong value is one line that names it and quotes no secret."""

from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from models.secret import Secret
from trunkline.setting_values import Address, SipHost
from trunkline.settings import LiveKit, SettingError, Settings, SipEdge, read_settings

KEY = "tl_" + "k" * 24
DEFAULTS = {
    "livekit": None,
    "database_url": Secret("sqlite://data/trunkline.db"),
    "host": "127.0.0.1",
    "port": 8000,
    "secret_keys": None,
    "bootstrap_key": None,
    "sandbox_file": None,
    "allowed_networks": (),
    "phone_check": "valid",
    "provision_timeout": 15.0,
    "settle_time": 60.0,
    "reconcile_interval": 30.0,
    "max_removals": 10,
    "allowed_hosts": (),
    "allowed_origins": (),
    "sip_host": None,
    "limit_trunks": 10_000,
    "limit_requests_per_minute": 6_000,
    "limit_provisions": 100,
    "trusted_documents": None,
    "metrics_address": None,
    "log_format": "auto",
    "probe_new_trunks": "yes",
    "test_call_destinations": (),
    "edge": None,
    "edge_outer_address": None,
}
GOOD = [
    ("TRUNKLINE_DATABASE_URL", "sqlite://some folder/x#%41.db", Secret("sqlite://some folder/x#%41.db")),
    (
        "TRUNKLINE_DATABASE_URL",
        "postgres://u:p%40@db.example.com:5432/t",
        Secret("postgres://u:p%40@db.example.com:5432/t"),
    ),
    ("TRUNKLINE_DATABASE_URL", "postgresql://u@[::1]/t?ssl=require", Secret("postgresql://u@[::1]/t?ssl=require")),
    ("TRUNKLINE_HOST", "0.0.0.0", "0.0.0.0"),  # noqa: S104  # it is only read
    ("TRUNKLINE_PORT", " 9000\n", 9000),
    ("TRUNKLINE_PORT", "0", 0),
    ("TRUNKLINE_SECRET_KEYS", "k1:abc", Secret("k1:abc")),
    ("TRUNKLINE_BOOTSTRAP_KEY", KEY, Secret(KEY)),
    ("TRUNKLINE_SANDBOX_FILE", "there/sandbox.db", Path("there/sandbox.db")),
    ("TRUNKLINE_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8", (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))),
    ("TRUNKLINE_ALLOWED_NETWORKS", "192.0.2.1", (ip_network("192.0.2.1/32"),)),
    ("TRUNKLINE_PHONE_CHECK", "possible", "possible"),
    ("TRUNKLINE_PHONE_CHECK", "valid", "valid"),
    ("TRUNKLINE_PROVISION_TIMEOUT", "2.5", 2.5),
    ("TRUNKLINE_SETTLE_TIME", "1", 1.0),
    ("TRUNKLINE_RECONCILE_INTERVAL", "86400", 86400.0),
    ("TRUNKLINE_MAX_REMOVALS", "0", 0),
    ("TRUNKLINE_ALLOWED_HOSTS", "API.example.com [::1]:8000,", ("api.example.com", "[::1]:8000")),
    (
        "TRUNKLINE_ALLOWED_ORIGINS",
        "https://D.example.com, http://[::1]:3000",
        ("https://d.example.com", "http://[::1]:3000"),
    ),
    ("TRUNKLINE_PROBE_NEW_TRUNKS", "no", "no"),
    ("TRUNKLINE_TEST_CALL_DESTINATIONS", "+40, +4930123,1000,", ("+40", "+4930123", "1000")),
    ("TRUNKLINE_PROBE_NEW_TRUNKS", "yes", "yes"),
    ("TRUNKLINE_SIP_HOST", "SIP.Example.com.", SipHost("sip.example.com")),
    ("TRUNKLINE_SIP_HOST", "192.0.2.10:5070", SipHost("192.0.2.10", 5070)),
    ("TRUNKLINE_EDGE_OUTER_ADDRESS", "203.0.113.9", "203.0.113.9"),
    ("TRUNKLINE_EDGE_OUTER_ADDRESS", "Out.Example.com.", "out.example.com"),
    ("TRUNKLINE_LIMIT_TRUNKS", "0", 0),
    ("TRUNKLINE_LIMIT_REQUESTS_PER_MINUTE", "60", 60),
    ("TRUNKLINE_LIMIT_PROVISIONS", "1", 1),
    ("TRUNKLINE_TRUSTED_DOCUMENTS", "there/persisted-documents.json", Path("there/persisted-documents.json")),
    ("TRUNKLINE_METRICS_ADDRESS", "127.0.0.1:9464", Address("127.0.0.1", 9464)),
    ("TRUNKLINE_METRICS_ADDRESS", "[::1]:0", Address("[::1]", 0)),
    ("TRUNKLINE_LOG_FORMAT", "text", "text"),
    ("TRUNKLINE_LOG_FORMAT", "json", "json"),
]
WRONG = {
    "TRUNKLINE_DATABASE_URL": [
        "mysql://u:s3cret@db/t",
        "sqlite://",
        "sqlite://?journal_mode=WAL",
        "sqlite://:memory:",
        "trunkline.db",
        "postgres:u:s3cret@db/t",
        "postgres://u:s3cret/more@db/t",
        "postgres://u:s3cret?more@db/t",
        "postgres://u:s3cret#more@db/t",
        "postgres://u:s3cret[more@db/t",
        "postgres://u:s3cret@db:port/t",
        "postgres://u:s3cret@\N{ADDRESSED TO THE SUBJECT}db/t",
    ],
    "TRUNKLINE_PORT": ["eighty", "-1", "65536", "80.5", "1" * 5000, "\N{ARABIC-INDIC DIGIT EIGHT}"],
    "TRUNKLINE_BOOTSTRAP_KEY": ["s3cret", "tl_s3cret", "tl_" + "s3cret" * 4 + "!", "sk_" + "s3cret" * 8],
    "TRUNKLINE_ALLOWED_NETWORKS": ["10.0.0.1/8", "office", "10.0.0.0/8;fd00::/8"],
    "TRUNKLINE_PHONE_CHECK": ["Valid", "no"],
    "TRUNKLINE_PROVISION_TIMEOUT": ["0", "-1", "15s", "nan", "inf", "86401", "0.01"],
    "TRUNKLINE_SETTLE_TIME": ["0", "a minute"],
    "TRUNKLINE_RECONCILE_INTERVAL": ["0", "30 s"],
    "TRUNKLINE_MAX_REMOVALS": ["-1", "ten", "1.5", "1000001"],
    "TRUNKLINE_LIMIT_TRUNKS": ["-1", "none"],
    "TRUNKLINE_LIMIT_REQUESTS_PER_MINUTE": ["1/s", "1000001"],
    "TRUNKLINE_LIMIT_PROVISIONS": ["0.5"],
    "TRUNKLINE_ALLOWED_HOSTS": ["https://api.example.com", "api.example.com/graphql", "u@api.example.com", "*"],
    "TRUNKLINE_ALLOWED_ORIGINS": [
        "dashboard.example.com",
        "https://dashboard.example.com/",
        "https://dashboard.example.com?x",
        "ftp://dashboard.example.com",
        "https://",
        "https://[::1",
        "https://dashboard.example.com:port",
        "*",
    ],
    "TRUNKLINE_TEST_CALL_DESTINATIONS": ["+", "+40 741", "+0", "sip:1000", "1000;2000", "+40x", "10 00"],
    "TRUNKLINE_PROBE_NEW_TRUNKS": ["Yes", "1", "false"],
    "TRUNKLINE_SIP_HOST": [
        "sip:192.0.2.10",
        "sip.example.com:",
        "sip.example.com:0",
        "sip.example.com:sip",
        ":5060",
        "[::1]:5060",
        "sip.example.com;transport=tcp",
        "192.0.2.10:5060:5061",
    ],
    "TRUNKLINE_METRICS_ADDRESS": [
        "9464",
        ":9464",
        "127.0.0.1:",
        "http://127.0.0.1:9464",
        "::1:9464",
        "x:65536",
        "x y:1",
    ],
    "TRUNKLINE_LOG_FORMAT": ["JSON", "pretty"],
    "TRUNKLINE_EDGE_OUTER_ADDRESS": ["203.0.113.9:5060", "::1", "sip:edge", "an edge"],
}
TOKEN = "s3cret_of-the-edge"
EDGE = {
    "TRUNKLINE_OUTBOUND_PROXY": "edge.example.com:5080",
    "TRUNKLINE_EDGE_DATABASE": "sqlite:///s3cret.db",
    "TRUNKLINE_EDGE_RPC_URL": "http://10.0.0.5:5070",
    "TRUNKLINE_EDGE_RPC_TOKEN": TOKEN,
}
WRONG_EDGE = {
    "TRUNKLINE_OUTBOUND_PROXY": ["sip:edge", "edge;transport=tcp", "edge:0"],
    "TRUNKLINE_EDGE_DATABASE": ["mysql://u:s3cret@db/t", "sqlite://"],
    "TRUNKLINE_EDGE_RPC_URL": ["10.0.0.5:5070", "http://u:s3cret@10.0.0.5", "http://10.0.0.5:port", "sip://10.0.0.5"],
    "TRUNKLINE_EDGE_RPC_TOKEN": ["s3cret", "s3cret of the edge, as it is", "s3cret" * 3 + '"'],
}
LIVEKIT = {"LIVEKIT_URL": "wss://lk.example.com", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s3cret"}


def refusal(**environ: str) -> str:
    with pytest.raises(SettingError) as caught:
        read_settings(environ)
    line = str(caught.value)
    assert caught.value.__cause__ is None
    assert len(line.splitlines()) == 1
    assert "s3cret" not in line
    return line


def test_the_defaults_are_the_documented_ones() -> None:
    settings = read_settings({"PATH": "/bin"})
    assert {each.name: getattr(settings, each.name) for each in fields(settings)} == DEFAULTS
    assert settings == Settings()


def test_every_setting_has_a_case() -> None:
    names = {name.removeprefix("TRUNKLINE_").lower() for name, _, _ in GOOD}
    assert names | {"livekit", "edge"} == {each.name for each in fields(Settings)}


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_good_value_is_taken(name: str, text: str, value: object) -> None:
    settings = read_settings({name: text})
    assert getattr(settings, name.removeprefix("TRUNKLINE_").lower()) == value


@pytest.mark.parametrize("name", sorted({name for name, _, _ in GOOD}))
def test_an_empty_value_is_the_default(name: str) -> None:
    assert read_settings({name: " "}) == Settings()


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_value_is_refused_by_its_name(name: str, text: str) -> None:
    assert refusal(**{name: text}).startswith(f"{name}: ")


def test_livekit_needs_all_three_settings() -> None:
    settings = read_settings(LIVEKIT)
    assert settings.livekit == LiveKit("wss://lk.example.com", "key", Secret("s3cret"))
    assert read_settings({}).livekit is None


@pytest.mark.parametrize("missing", LIVEKIT)
@pytest.mark.parametrize("given", ["", "  "])
def test_a_missing_livekit_setting_is_named(missing: str, given: str) -> None:
    assert refusal(**{**LIVEKIT, missing: given}).startswith(f"{missing}: is missing; set all three LIVEKIT_*")


@pytest.mark.parametrize("only", LIVEKIT)
def test_one_livekit_setting_alone_is_refused(only: str) -> None:
    assert refusal(**{only: LIVEKIT[only]}).partition(":")[0] in set(LIVEKIT) - {only}


@pytest.mark.parametrize(
    "url",
    [
        "lk.example.com",
        "ftp://lk.example.com",
        "wss://",
        "http://[::1",
        "http://lk:port",
        "wss://u:s3cret@lk.example.com",
    ],
)
def test_a_wrong_livekit_url_is_refused(url: str) -> None:
    assert refusal(**{**LIVEKIT, "LIVEKIT_URL": url}).startswith("LIVEKIT_URL: must look like")


def test_the_edge_needs_all_four_settings() -> None:
    told = SipEdge(
        SipHost("edge.example.com", 5080), Secret("sqlite:///s3cret.db"), "http://10.0.0.5:5070", Secret(TOKEN)
    )
    settings = read_settings(EDGE)
    assert (settings.edge, settings.edge_address) == (told, "edge.example.com:5080")
    assert read_settings({}).edge is None


@pytest.mark.parametrize("missing", EDGE)
def test_a_missing_setting_of_the_edge_is_named(missing: str) -> None:
    assert refusal(**{**EDGE, missing: " "}).startswith(f"{missing}: is missing; set TRUNKLINE_OUTBOUND_PROXY and all")
    others = {name: "" for name in EDGE if name != missing}
    assert refusal(**{**EDGE, **others}).partition(":")[0] in others


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG_EDGE.items() for text in texts])
def test_a_wrong_setting_of_the_edge_is_refused_by_its_name(name: str, text: str) -> None:
    assert refusal(**{**EDGE, name: text}).startswith(f"{name}: must ")


def test_settings_show_no_secret() -> None:
    environ = {
        **LIVEKIT,
        **EDGE,
        "TRUNKLINE_DATABASE_URL": "postgres://u:s3cret@db/t",
        "TRUNKLINE_SECRET_KEYS": "k1:s3cret",
        "TRUNKLINE_BOOTSTRAP_KEY": "tl_" + "s3cret" * 4,
    }
    assert "s3cret" not in repr(read_settings(environ)) + str(read_settings(environ))


def test_files_stand_beside_the_sqlite_database() -> None:
    settings = read_settings({"TRUNKLINE_DATABASE_URL": "sqlite:///var/lib/t/x.db?journal_mode=OFF"})
    assert settings.sqlite_file == Path("/var/lib/t/x.db")
    assert settings.data_folder == Path("/var/lib/t")
    assert settings.sandbox_path == Path("/var/lib/t/sandbox.db")


def test_files_stand_in_data_on_postgres() -> None:
    settings = read_settings({"TRUNKLINE_DATABASE_URL": "postgres://u@db/t"})
    assert settings.sqlite_file is None
    assert settings.sandbox_path == Path("data/sandbox.db")
    chosen = read_settings({"TRUNKLINE_DATABASE_URL": "postgres://u@db/t", "TRUNKLINE_SANDBOX_FILE": "s.db"})
    assert chosen.sandbox_path == Path("s.db")


def test_the_host_is_served_unless_hosts_are_listed() -> None:
    local = {"127.0.0.1", "localhost", "[::1]"}
    assert read_settings({"TRUNKLINE_HOST": "pbx.example.com"}).served_hosts == local | {"pbx.example.com"}
    assert read_settings({"TRUNKLINE_ALLOWED_HOSTS": "a.example.com"}).served_hosts == {"a.example.com"}


def test_a_sip_host_is_written_as_it_is_dialled() -> None:
    assert str(SipHost("sip.example.com")) == "sip.example.com"
    assert str(SipHost("192.0.2.10", 5070)) == "192.0.2.10:5070"
