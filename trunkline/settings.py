"""The settings: one frozen value read from the environment. A wrong one stops the start with one line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from models.secret import Secret
from trunkline import setting_values as values
from trunkline.setting_values import SQLITE, Address, Choice, LogFormat, Network, PhoneCheck, SipHost

PREFIX = "TRUNKLINE_"
LIVEKIT_NAMES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
EDGE_NAMES = ("OUTBOUND_PROXY", "EDGE_DATABASE", "EDGE_RPC_URL", "EDGE_RPC_TOKEN")
DATA = Path("data")

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
    edge_outer_address: str | None = None

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
        database_url=read("DATABASE_URL", values.database_url, plain.database_url),
        host=read("HOST", str, plain.host),
        port=read("PORT", values.port, plain.port),
        secret_keys=read("SECRET_KEYS", Secret, None),
        bootstrap_key=read("BOOTSTRAP_KEY", values.bootstrap_key, None),
        sandbox_file=read("SANDBOX_FILE", Path, None),
        allowed_networks=read("ALLOWED_NETWORKS", values.networks, ()),
        phone_check=read("PHONE_CHECK", values.phone_check, plain.phone_check),
        provision_timeout=read("PROVISION_TIMEOUT", values.seconds, plain.provision_timeout),
        settle_time=read("SETTLE_TIME", values.seconds, plain.settle_time),
        reconcile_interval=read("RECONCILE_INTERVAL", values.seconds, plain.reconcile_interval),
        max_removals=read("MAX_REMOVALS", values.count, plain.max_removals),
        allowed_hosts=read("ALLOWED_HOSTS", values.hosts, ()),
        allowed_origins=read("ALLOWED_ORIGINS", values.origins, ()),
        limit_trunks=read("LIMIT_TRUNKS", values.count, plain.limit_trunks),
        limit_requests_per_minute=read("LIMIT_REQUESTS_PER_MINUTE", values.count, plain.limit_requests_per_minute),
        limit_provisions=read("LIMIT_PROVISIONS", values.count, plain.limit_provisions),
        sip_host=read("SIP_HOST", values.sip_host, None),
        trusted_documents=read("TRUSTED_DOCUMENTS", Path, None),
        metrics_address=read("METRICS_ADDRESS", values.address, None),
        log_format=read("LOG_FORMAT", values.log_format, plain.log_format),
        probe_new_trunks=read("PROBE_NEW_TRUNKS", values.choice, plain.probe_new_trunks),
        test_call_destinations=read("TEST_CALL_DESTINATIONS", values.destinations, ()),
        edge=_edge(
            read("OUTBOUND_PROXY", values.sip_host, None),
            read("EDGE_DATABASE", values.database_url, None),
            read("EDGE_RPC_URL", values.rpc_url, None),
            read("EDGE_RPC_TOKEN", values.rpc_token, None),
        ),
        edge_outer_address=read("EDGE_OUTER_ADDRESS", values.host_alone, None),
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
    found = values.parts(url)
    if found is None or found.scheme not in {"http", "https", "ws", "wss"} or not found.hostname or "@" in found.netloc:
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
