"""A trunk's changeable columns as JSON, to go back to when a change is refused. The password in it stays sealed."""

import base64
from typing import Any

from models.secret import Keyring, KeyringError, Place, Secret, key_id_of
from models.sip_trunk import SipTrunk

CHANGEABLE = (
    "phone_number",
    "nickname",
    "sip_username",
    "sip_password",
    "sip_password_key",
    "sip_address",
    "sip_port",
    "sip_transport",
    "media_encryption",
    "sip_calling_format",
    "inbound_authorization_type",
    "allowed_inbound_ips",
    "country_code",
    "outbound_proxy",
    "provider",
    "provider_as_of",
)
SEALED = ("sip_password", "sip_password_key")
BACK = ("revision", "updated_at")  # a refused change leaves these too


def snapshot(trunk: SipTrunk) -> dict[str, Any]:
    """Write the columns as JSON values."""
    columns = {name: getattr(trunk, name) for name in CHANGEABLE + BACK}
    sealed = base64.b64encode(bytes(trunk.sip_password)).decode()
    return columns | {"sip_password": sealed, "updated_at": trunk.updated_at.isoformat()}


def columns_of(kept: dict[str, Any]) -> dict[str, Any]:
    """Read the columns back, each as its field holds it."""
    sealed = base64.b64decode(kept["sip_password"])
    fields = SipTrunk._meta.fields_map  # noqa: SLF001  # Tortoise has no public name for it
    plain = {name: value for name, value in kept.items() if name not in {"sip_password", "allowed_inbound_ips"}}
    read = {name: fields[name].to_python_value(value) for name, value in plain.items()}
    return read | {"sip_password": sealed, "allowed_inbound_ips": kept["allowed_inbound_ips"]}


def filled(trunk: SipTrunk) -> list[str]:
    """The columns that a client has given a value, or we for it."""
    named = ("sip_trunk_type", *CHANGEABLE)
    return [name for name in named if name != "sip_password_key" and getattr(trunk, name) is not None]


def changed_since(kept: dict[str, Any] | None, trunk: SipTrunk, keyring: Keyring) -> list[str] | None:
    """The columns that differ from what was kept; None when nothing was. The password counts by what it says."""
    if kept is None:
        return None
    now, place = snapshot(trunk), Place(trunk.workspace_id, trunk.id, "sip_password")
    changed = [name for name in CHANGEABLE if name not in SEALED and now[name] != kept[name]]
    same = _opened(kept, keyring, place) == _opened(now, keyring, place)
    return changed if same else [*changed, "sip_password"]


def _opened(kept: dict[str, Any], keyring: Keyring, place: Place) -> Secret | None:
    try:
        return keyring.open(base64.b64decode(kept["sip_password"]), place)
    except KeyringError:
        return None


def kept_with(kept: dict[str, Any]) -> str:
    """The id of the key that sealed the password in it."""
    return str(kept["sip_password_key"])


def resealed(kept: dict[str, Any], keyring: Keyring, place: Place) -> dict[str, Any]:
    """The same with its password sealed by the writing key; KeyringError when it does not open."""
    sealed = keyring.seal(keyring.open(base64.b64decode(kept["sip_password"]), place), place)
    return kept | {"sip_password": base64.b64encode(sealed).decode(), "sip_password_key": key_id_of(sealed)}
