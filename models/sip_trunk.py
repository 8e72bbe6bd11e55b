"""A SIP trunk as it is remembered: columns, their limits, the enums. Two statuses are never seen through the API."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tortoise import fields
from tortoise.expressions import RawSQL
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.secret import KEY_ID_MAX
from models.workspace import Workspace

if TYPE_CHECKING:
    from models.assistant import Assistant
    from models.trunk_leg import TrunkLeg

PHONE_NUMBER_MAX = 16  # "+" and the 15 digits of E.164
EXTENSION_MAX = 15
NICKNAME_MAX = 50
USERNAME_MIN = 3
USERNAME_MAX = 128
PASSWORD_MIN = 3
PASSWORD_MAX = 256
PASSWORD_STRONG = 12
ADDRESS_MAX = 253  # RFC 1035 section 2.3.4, without the trailing dot
PORT_MIN = 1
PORT_MAX = 65535
ALLOWED_IPS_MAX = 100
PROVIDER_MAX = 40


class SipTrunkType(StrEnum):
    """What phoneNumber holds."""

    EXTENSION = "EXTENSION"
    NUMBER = "NUMBER"


class SipCallingFormat(StrEnum):
    """How numbers are written towards the carrier."""

    PLUS_E164 = "PLUS_E164"
    E164 = "E164"
    NATIONAL = "NATIONAL"


class InboundAuthorizationType(StrEnum):
    """How the carrier's calls prove where they come from."""

    AUTH = "AUTH"
    IP = "IP"


class SipTransport(StrEnum):
    """How SIP messages travel."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"


class MediaEncryption(StrEnum):
    """Whether the audio travels as SRTP (SDES)."""

    AUTO = "AUTO"
    DISABLED = "DISABLED"
    ALLOWED = "ALLOWED"
    REQUIRED = "REQUIRED"


class TrunkStatus(StrEnum):
    """Where a trunk stands. CLAIMED and RELEASING are the two lives of a claim and are invisible in the API."""

    CLAIMED = "CLAIMED"  # a creation is running, or its process died
    RELEASING = "RELEASING"  # a creation failed; the voice backend is being cleared of what it left
    PROVISIONING = "PROVISIONING"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    DELETING = "DELETING"


HIDDEN = (TrunkStatus.CLAIMED, TrunkStatus.RELEASING)
SEALED = ("sip_password", "edge_key")  # columns that hold a secret of this very row


class SipTrunk(Model):
    """One trunk, or the claim of one that is still being created."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField(
        "models.Workspace", db_index=False, on_delete=OnDelete.RESTRICT
    )
    workspace_id: str
    sip_trunk_type = fields.CharEnumField(SipTrunkType, max_length=16)
    phone_number = fields.CharField(PHONE_NUMBER_MAX)
    nickname = fields.CharField(NICKNAME_MAX, null=True)
    sip_username = fields.CharField(USERNAME_MAX)
    sip_password = fields.BinaryField()  # sealed by models.secret.Keyring for this row and column
    sip_password_key = fields.CharField(KEY_ID_MAX)  # the ring's key that sealed it, so that unused keys can be told
    sip_address = fields.CharField(ADDRESS_MAX)
    sip_port = fields.IntField(null=True)
    sip_transport = fields.CharEnumField(SipTransport, max_length=16)
    media_encryption = fields.CharEnumField(MediaEncryption, max_length=16)
    sip_calling_format = fields.CharEnumField(SipCallingFormat, max_length=16)
    inbound_authorization_type = fields.CharEnumField(InboundAuthorizationType, max_length=16)
    allowed_inbound_ips: fields.Field[list[str] | None] = fields.JSONField(null=True)
    country_code = fields.CharField(2)
    outbound_proxy = fields.BooleanField()
    edge_key: fields.Field[bytes | None] = fields.BinaryField(null=True)  # sealed like the password, by the same key
    provider = fields.CharField(PROVIDER_MAX, null=True)  # the key of a carrier or PBX of the preset file
    provider_as_of = fields.CharField(10, null=True)  # the date of the preset that was used, YYYY-MM-DD
    last_probe: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)  # what the last OPTIONS probe saw
    status = fields.CharEnumField(TrunkStatus, max_length=16)
    revision = fields.IntField(default=1)
    previous: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)  # columns to go back to when refused
    next_attempt_at = fields.DatetimeField(null=True)  # of the reconciler, when something is to be done
    lease_owner = fields.CharField(ID_LENGTH, null=True)  # who works on this trunk right now
    lease_until = fields.DatetimeField(null=True)
    absent_since = fields.DatetimeField(null=True)  # RELEASING: since when the voice backend shows nothing of it
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    legs: fields.ReverseRelation["TrunkLeg"]
    assistants: fields.ReverseRelation["Assistant"]

    class Meta:
        """Unique: one trunk per number, username and address in a workspace. Indexed: the claims, orders, filters.

        Two more indexes, on the columns that the database keeps, are in the migration that adds those.
        """

        table = "sip_trunk"
        unique_together = (("workspace_id", "phone_number", "sip_username", "sip_address"),)
        indexes = (
            ("status", "next_attempt_at"),
            ("workspace_id", "created_at", "id"),
            ("workspace_id", "updated_at", "id"),
            ("workspace_id", "phone_number", "id"),
            ("workspace_id", "status", "created_at", "id"),
            ("workspace_id", "sip_trunk_type", "created_at", "id"),
            ("workspace_id", "country_code", "created_at", "id"),
            ("workspace_id", "provider", "created_at", "id"),
        )


# Columns that the database keeps and no row object holds, so that none can overwrite them.
NICKNAME_KEY = RawSQL('"sip_trunk"."nickname_key"')  # the nickname, or the empty text, in bytewise order
ASSIGNED = RawSQL('"sip_trunk"."assigned"')  # whether an assistant works for the trunk


class CalledText(Model):
    """A text that the voice backend answers to. It has one owner in all workspaces, hence the primary key."""

    text = fields.CharField(64, primary_key=True)  # as LiveKit compares it: trunkline.phone.called_text_key
    trunk: fields.ForeignKeyRelation[SipTrunk] = fields.ForeignKeyField("models.SipTrunk", related_name="called_texts")
    trunk_id: str

    class Meta:
        """One row per text; the rows of a trunk come and go with it."""

        table = "called_text"


class RetiredTrunk(Model):
    """The id of a trunk that is gone for good: what arrives late of it at the voice backend is ours to remove."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    retired_at = fields.DatetimeField()

    class Meta:
        """Ids only: nothing of the trunk is kept."""

        table = "retired_trunk"
