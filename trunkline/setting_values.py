"""What the text of a setting means: each function reads one kind, or says in a ValueError what it must look like."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, cast, get_args
from urllib.parse import SplitResult, urlsplit

from models.secret import Secret
from trunkline.hosts import BadHost, read_host
from trunkline.phone import DIALLED_TEXT

NUMBER_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
BOOTSTRAP_KEY = re.compile(r"tl_[A-Za-z0-9_-]{24,}")
RPC_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
SQLITE = "sqlite://"
POSTGRES_SCHEMES = ("postgres", "postgresql", "asyncpg")

Network = IPv4Network | IPv6Network
PhoneCheck = Literal["valid", "possible"]
LogFormat = Literal["auto", "json", "text"]
Choice = Literal["yes", "no"]


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


def parts(url: str) -> SplitResult | None:
    """Take a URL apart; None when it is malformed. urllib's errors would quote it, password and all."""
    try:
        taken_apart = urlsplit(url)
        _ = taken_apart.port
    except ValueError:
        return None
    return taken_apart


def database_url(text: str) -> Secret:
    """A database of a kind that is known; the URL is a secret, for its password."""
    if text.startswith(SQLITE) and text.removeprefix(SQLITE).partition("?")[0] not in {"", ":memory:"}:
        return Secret(text)
    if _is_postgres(text):
        return Secret(text)
    message = (
        "must be sqlite://FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE, with / ? # [ ] written as %2F %3F …"
    )
    raise ValueError(message)


def _is_postgres(text: str) -> bool:
    url = parts(text)
    if url is None or url.scheme not in POSTGRES_SCHEMES or "://" not in text:
        return False
    return "@" not in url.path + url.query + url.fragment  # else a part of the password stands there


def port(text: str) -> int:
    """A port to listen on; 0: a free one."""
    return _whole(text, 0, 65535)


def count(text: str) -> int:
    """How many."""
    return _whole(text, 0, 1_000_000)


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
        message = f"must be a whole number from {least} to {most}"
        raise ValueError(message)
    return int(text)


def seconds(text: str) -> float:
    """A span of time."""
    message = "must be a number of seconds from 0.05 to 86400"
    try:
        span = float(text)
    except ValueError:
        raise ValueError(message) from None
    if not 0.05 <= span <= 86_400:  # noqa: PLR2004  # told in the message
        raise ValueError(message)
    return span


def bootstrap_key(text: str) -> Secret:
    """An API key of the form that `authenticate` takes."""
    if not BOOTSTRAP_KEY.fullmatch(text):
        message = "must be tl_ and at least 24 of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return Secret(text)


def address(text: str) -> Address:
    """An address to listen on."""
    host, _, number = text.rpartition(":")
    if not host or set(host) & set("/@?# ") or (":" in host and host[0] + host[-1] != "[]"):
        message = "must be host:port, such as 127.0.0.1:9464"
        raise ValueError(message)
    return Address(host, port(number))


def log_format(text: str) -> LogFormat:
    """How the log is written."""
    for known in get_args(LogFormat):
        if text == known:
            return cast("LogFormat", known)
    raise ValueError("must be auto, json or text")


def phone_check(text: str) -> PhoneCheck:
    """How strictly numbers are looked at."""
    if text == "valid":
        return "valid"
    if text == "possible":
        return "possible"
    message = "must be valid or possible"
    raise ValueError(message)


def choice(text: str) -> Choice:
    """A switch."""
    if text == "yes":
        return "yes"
    if text == "no":
        return "no"
    message = "must be yes or no"
    raise ValueError(message)


def destinations(text: str) -> tuple[str, ...]:
    """What may be called: beginnings of numbers, and whole extensions."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not all((NUMBER_PREFIX if entry.startswith("+") else DIALLED_TEXT).fullmatch(entry) for entry in entries):
        message = "must hold beginnings of numbers such as +40 or +4930123, and whole extensions such as 1000"
        raise ValueError(message)
    return tuple(entries)


def _entries(text: str) -> list[str]:
    return [entry for entry in re.split(r"[,\s]+", text) if entry]


def networks(text: str) -> tuple[Network, ...]:
    """Networks as CIDRs."""
    return tuple(ip_network(entry) for entry in _entries(text))


def hosts(text: str) -> tuple[str, ...]:
    """Host names, in lower case."""
    entries = _entries(text)
    if any(set(entry) & set("/@?#*") for entry in entries):
        message = "must hold host names such as trunkline.example.com, without https://, a path or *"
        raise ValueError(message)
    return tuple(entry.lower() for entry in entries)


def origins(text: str) -> tuple[str, ...]:
    """Origins of pages, in lower case."""
    entries = _entries(text)
    for entry in entries:
        url = parts(entry)
        if url is None or url.scheme not in {"http", "https"} or not url.hostname or url.path + url.query:
            message = "must hold origins such as https://dashboard.example.com, without a path"
            raise ValueError(message)
    return tuple(entry.lower() for entry in entries)


def sip_host(text: str) -> SipHost:
    """Where a SIP server is reached."""
    name, _, number = text.partition(":")
    match read_host(name):
        case str() as host:
            return SipHost(host, _whole(number, 1, 65535) if ":" in text else None)
        case BadHost():
            message = "must be a host name or an IPv4 address, and :port unless it is SIP's own: sip.example.com:5070"
            raise ValueError(message)


def host_alone(text: str) -> str:
    """A host name or an address."""
    match read_host(text):
        case str() as host:
            return host
        case BadHost():
            message = "must be a host name or an IPv4 address, without a port"
            raise ValueError(message)


def rpc_url(text: str) -> str:
    """Where the edge takes its requests."""
    url = parts(text)
    if url is None or url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
        message = "must look like http://10.0.0.5:5070"
        raise ValueError(message)
    return text


def rpc_token(text: str) -> Secret:
    """What the edge lets in."""
    if not RPC_TOKEN.fullmatch(text):
        message = "must be at least 16 of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return Secret(text)
