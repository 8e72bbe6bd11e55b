"""The settings: one frozen value read from the environment. A wrong one stops the start with one line."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import SplitResult, urlsplit

from models.secret import Secret
from trunkline.hosts import BadHost, read_host
from trunkline.phone import DIALLED_TEXT

PREFIX = "TRUNKLINE_"
LIVEKIT_NAMES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
NUMBER_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
EDGE_NAMES = ("OUTBOUND_PROXY", "EDGE_DATABASE", "EDGE_RPC_URL", "EDGE_RPC_TOKEN")
BOOTSTRAP_KEY = re.compile(r"tl_[A-Za-z0-9_-]{24,}")
RPC_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
DATA = Path("data")
SQLITE = "sqlite://"
POSTGRES_SCHEMES = ("postgres", "postgresql", "asyncpg")

Network = IPv4Network | IPv6Network
PhoneCheck = Literal["valid", "possible"]
LogFormat = Literal["auto", "json", "text"]
Choice = Literal["yes", "no"]
T = TypeVar("T")


class SettingError(Exception):
    """A setting that cannot be used: one line that names it and never quotes a secret."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")


@dataclass(frozen=True, slots=True)
class LiveKit:
    """Where a LiveKit server is and how to be let in."""

    url: str
    api_key: str
    api_secret: Secret


@dataclass(frozen=True, slots=True)
class SipHost:
    """Where carriers reach livekit-sip. Without a port it is SIP's own: 5060, for TLS 5061."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SipEdge:
    """Where LiveKit reaches the edge, where its rows are written, and how it is told to load them."""

    address: SipHost
    database_url: Secret
    rpc_url: str
    rpc_token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are in seconds. README.md has the table."""

    livekit: LiveKit | None = None
    database_url: Secret = Secret(f"{SQLITE}{DATA}/trunkline.db")  # noqa: RUF009  # immutable
    host: str = "127.0.0.1"
    port: int = 8000
    secret_keys: Secret | None = None
    bootstrap_key: Secret | None = None
    sandbox_file: Path | None = None
    allowed_networks: tuple[Network, ...] = ()
    phone_check: PhoneCheck = "valid"
    provision_timeout: float = 15.0
    settle_time: float = 60.0
    reconcile_interval: float = 30.0
    max_removals: int = 10
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = field(default=())
    limit_trunks: int = 10_000
    limit_requests_per_minute: int = 6_000
    limit_provisions: int = 100
    sip_host: SipHost | None = None
    trusted_documents: Path | None = None
    metrics_address: Address | None = None
    log_format: LogFormat = "auto"
    probe_new_trunks: Choice = "yes"
    test_call_destinations: tuple[str, ...] = ()
    edge: SipEdge | None = None

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite database's file; None on PostgreSQL."""
        url = self.database_url.reveal()
        return Path(url.removeprefix(SQLITE).partition("?")[0]) if url.startswith(SQLITE) else None

    @property
    def data_folder(self) -> Path:
        """Where files of our own go: beside the SQLite database, else ./data."""
        return self.sqlite_file.parent if self.sqlite_file else DATA

    @property
    def sandbox_path(self) -> Path:
        """The sandbox voice backend's file."""
        return self.sandbox_file or self.data_folder / "sandbox.db"

    @property
    def edge_address(self) -> str:
        """Where the voice backend reaches the edge; the sandbox is its own."""
        return str(self.edge.address) if self.edge else "edge"

    @property
    def served_hosts(self) -> frozenset[str]:
        """The Host names that are answered."""
        return frozenset(self.allowed_hosts) or frozenset({"127.0.0.1", "localhost", "[::1]", self.host})


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment, or raise SettingError naming the first wrong one."""

    def read(name: str, convert: Callable[[str], T], default: T) -> T:
        text = environ.get(PREFIX + name, "").strip()
        if not text:
            return default
        try:
            return convert(text)
        except ValueError as error:
            raise SettingError(PREFIX + name, str(error)) from None

    plain = Settings()
    return Settings(
        livekit=_livekit(environ),
        database_url=read("DATABASE_URL", _database_url, plain.database_url),
        host=read("HOST", str, plain.host),
        port=read("PORT", _port, plain.port),
        secret_keys=read("SECRET_KEYS", Secret, None),
        bootstrap_key=read("BOOTSTRAP_KEY", _bootstrap_key, None),
        sandbox_file=read("SANDBOX_FILE", Path, None),
        allowed_networks=read("ALLOWED_NETWORKS", _networks, ()),
        phone_check=read("PHONE_CHECK", _phone_check, plain.phone_check),
        provision_timeout=read("PROVISION_TIMEOUT", _seconds, plain.provision_timeout),
        settle_time=read("SETTLE_TIME", _seconds, plain.settle_time),
        reconcile_interval=read("RECONCILE_INTERVAL", _seconds, plain.reconcile_interval),
        max_removals=read("MAX_REMOVALS", _count, plain.max_removals),
        allowed_hosts=read("ALLOWED_HOSTS", _hosts, ()),
        allowed_origins=read("ALLOWED_ORIGINS", _origins, ()),
        limit_trunks=read("LIMIT_TRUNKS", _count, plain.limit_trunks),
        limit_requests_per_minute=read("LIMIT_REQUESTS_PER_MINUTE", _count, plain.limit_requests_per_minute),
        limit_provisions=read("LIMIT_PROVISIONS", _count, plain.limit_provisions),
        sip_host=read("SIP_HOST", _sip_host, None),
        trusted_documents=read("TRUSTED_DOCUMENTS", Path, None),
        metrics_address=read("METRICS_ADDRESS", _address, None),
        log_format=read("LOG_FORMAT", _log_format, plain.log_format),
        probe_new_trunks=read("PROBE_NEW_TRUNKS", _choice, plain.probe_new_trunks),
        test_call_destinations=read("TEST_CALL_DESTINATIONS", _destinations, ()),
        edge=_edge(
            read("OUTBOUND_PROXY", _sip_host, None),
            read("EDGE_DATABASE", _database_url, None),
            read("EDGE_RPC_URL", _rpc_url, None),
            read("EDGE_RPC_TOKEN", _rpc_token, None),
        ),
    )


def _livekit(environ: Mapping[str, str]) -> LiveKit | None:
    given = {name: environ.get(name, "").strip() for name in LIVEKIT_NAMES}
    missing = [name for name, text in given.items() if not text]
    if len(missing) == len(given):
        return None
    if missing:
        raise SettingError(
            missing[0], "is missing; set all three LIVEKIT_* variables for LiveKit, or none for the sandbox"
        )
    url, key, secret = given.values()
    parts = _parts(url)
    if parts is None or parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname or "@" in parts.netloc:
        why = "must look like wss://livekit.example.com or http://127.0.0.1:7880"
        raise SettingError("LIVEKIT_URL", why)
    return LiveKit(url, key, Secret(secret))


def _edge(
    address: SipHost | None, database_url: Secret | None, rpc_url: str | None, rpc_token: Secret | None
) -> SipEdge | None:
    if address and database_url and rpc_url and rpc_token:
        return SipEdge(address, database_url, rpc_url, rpc_token)
    given = (address, database_url, rpc_url, rpc_token)
    missing = [PREFIX + name for name, value in zip(EDGE_NAMES, given, strict=True) if value is None]
    if len(missing) < len(EDGE_NAMES):
        raise SettingError(
            missing[0], "is missing; set TRUNKLINE_OUTBOUND_PROXY and all three TRUNKLINE_EDGE_*, or none"
        )
    return None


def _parts(url: str) -> SplitResult | None:
    """Take a URL apart; None when it is malformed. urllib's errors would quote it, password and all."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _database_url(text: str) -> Secret:
    if text.startswith(SQLITE) and text.removeprefix(SQLITE).partition("?")[0] not in {"", ":memory:"}:
        return Secret(text)
    if _is_postgres(text):
        return Secret(text)
    message = (
        "must be sqlite://FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE, with / ? # [ ] written as %2F %3F …"
    )
    raise ValueError(message)


def _is_postgres(text: str) -> bool:
    parts = _parts(text)
    if parts is None or parts.scheme not in POSTGRES_SCHEMES or "://" not in text:
        return False
    return "@" not in parts.path + parts.query + parts.fragment  # else a part of the password stands there


def _port(text: str) -> int:
    return _whole(text, 0, 65535)


def _count(text: str) -> int:
    return _whole(text, 0, 1_000_000)


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
        message = f"must be a whole number from {least} to {most}"
        raise ValueError(message)
    return int(text)


def _seconds(text: str) -> float:
    message = "must be a number of seconds from 0.05 to 86400"
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(message) from None
    if not 0.05 <= seconds <= 86_400:  # noqa: PLR2004  # told in the message
        raise ValueError(message)
    return seconds


def _bootstrap_key(text: str) -> Secret:
    if not BOOTSTRAP_KEY.fullmatch(text):
        message = "must be tl_ and at least 24 of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return Secret(text)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or set(host) & set("/@?# ") or (":" in host and host[0] + host[-1] != "[]"):
        message = "must be host:port, such as 127.0.0.1:9464"
        raise ValueError(message)
    return Address(host, _port(port))


def _log_format(text: str) -> LogFormat:
    for known in get_args(LogFormat):
        if text == known:
            return cast("LogFormat", known)
    raise ValueError("must be auto, json or text")


def _phone_check(text: str) -> PhoneCheck:
    if text == "valid":
        return "valid"
    if text == "possible":
        return "possible"
    message = "must be valid or possible"
    raise ValueError(message)


def _choice(text: str) -> Choice:
    if text == "yes":
        return "yes"
    if text == "no":
        return "no"
    message = "must be yes or no"
    raise ValueError(message)


def _destinations(text: str) -> tuple[str, ...]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not all((NUMBER_PREFIX if entry.startswith("+") else DIALLED_TEXT).fullmatch(entry) for entry in entries):
        message = "must hold beginnings of numbers such as +40 or +4930123, and whole extensions such as 1000"
        raise ValueError(message)
    return tuple(entries)


def _entries(text: str) -> list[str]:
    return [entry for entry in re.split(r"[,\s]+", text) if entry]


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(entry) for entry in _entries(text))


def _hosts(text: str) -> tuple[str, ...]:
    entries = _entries(text)
    if any(set(entry) & set("/@?#") for entry in entries):
        message = "must hold host names such as trunkline.example.com, without https:// and without a path"
        raise ValueError(message)
    return tuple(entry.lower() for entry in entries)


def _origins(text: str) -> tuple[str, ...]:
    entries = _entries(text)
    for entry in entries:
        parts = _parts(entry)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.path + parts.query:
            message = "must hold origins such as https://dashboard.example.com, without a path"
            raise ValueError(message)
    return tuple(entry.lower() for entry in entries)


def _sip_host(text: str) -> SipHost:
    name, _, port = text.partition(":")
    match read_host(name):
        case str() as host:
            return SipHost(host, _whole(port, 1, 65535) if ":" in text else None)
        case BadHost():
            message = "must be a host name or an IPv4 address, and :port unless it is SIP's own: sip.example.com:5070"
            raise ValueError(message)


def _rpc_url(text: str) -> str:
    parts = _parts(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        message = "must look like http://10.0.0.5:5070"
        raise ValueError(message)
    return text


def _rpc_token(text: str) -> Secret:
    if not RPC_TOKEN.fullmatch(text):
        message = "must be at least 16 of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return Secret(text)
