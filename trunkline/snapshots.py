"""A trunk's changeable columns as JSON, to go back to when a change is refused. The secrets in it stay sealed."""

import base64
from typing import Any

from models.secret import Keyring, KeyringError, Place, Secret
from models.sip_trunk import SEALED, SipTrunk
from trunkline.legs import sealed_again

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
    "edge_key",
    "provider",
    "provider_as_of",
)
UNTOLD = frozenset({*SEALED, "sip_password_key"})
BACK = ("revision", "updated_at")  # a refused change leaves these too


def snapshot(trunk: SipTrunk) -> dict[str, Any]:
    """Write the columns as JSON values."""
    columns = {name: getattr(trunk, name) for name in CHANGEABLE + BACK}
    return columns | _as_text(columns) | {"updated_at": trunk.updated_at.isoformat()}


def columns_of(kept: dict[str, Any]) -> dict[str, Any]:
    """Read the columns back, each as its field holds it."""
    apart = {*SEALED, "allowed_inbound_ips"}
    fields = SipTrunk._meta.fields_map  # noqa: SLF001  # Tortoise has no public name for it
    plain = {name: fields[name].to_python_value(value) for name, value in kept.items() if name not in apart}
    return plain | _sealed(kept) | {"allowed_inbound_ips": kept["allowed_inbound_ips"]}


def filled(trunk: SipTrunk) -> list[str]:
    """The columns that a client has given a value, or we for it."""
    named = ("sip_trunk_type", *CHANGEABLE)
    return [name for name in named if name not in UNTOLD - {"sip_password"} and getattr(trunk, name) is not None]


def changed_since(kept: dict[str, Any] | None, trunk: SipTrunk, keyring: Keyring) -> list[str] | None:
    """The columns that differ from what was kept; None when nothing was. The password counts by what it says."""
    if kept is None:
        return None
    now, place = snapshot(trunk), Place(trunk.workspace_id, trunk.id, "sip_password")
    changed = [name for name in CHANGEABLE if name not in UNTOLD and now[name] != kept[name]]
    same = _opened(kept, keyring, place) == _opened(now, keyring, place)
    return changed if same else [*changed, "sip_password"]


def _opened(kept: dict[str, Any], keyring: Keyring, place: Place) -> Secret | None:
    try:
        return keyring.open(base64.b64decode(kept["sip_password"]), place)
    except KeyringError:
        return None


def kept_with(kept: dict[str, Any]) -> str:
    """The id of the key that sealed the secrets in it."""
    return str(kept["sip_password_key"])


def resealed(kept: dict[str, Any], keyring: Keyring, trunk: SipTrunk) -> dict[str, Any]:
    """The same with its secrets sealed by the writing key; KeyringError when one does not open."""
    sealed = sealed_again(trunk, _sealed(kept), keyring)
    return kept | sealed | _as_text(sealed)


def _as_text(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: base64.b64encode(bytes(columns[name])).decode() for name in SEALED if columns.get(name)}


def _sealed(kept: dict[str, Any]) -> dict[str, Any]:
    """The ciphertexts; a snapshot of an earlier version lacks the later ones."""
    return {name: kept[name] and base64.b64decode(kept[name]) for name in SEALED if name in kept}
