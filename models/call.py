"""Calls that reached a room, as LiveKit's webhooks told of them, and the webhooks that were taken already."""

from enum import StrEnum

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.sip_trunk import SipTrunk
from models.workspace import Workspace

PARTY_MAX = 128
ROOM_MAX = 255
AGENT_MAX = 100
SIP_CALL_ID_MAX = 255
WEBHOOK_ID_MAX = 64


class CallDirection(StrEnum):
    """Who called whom."""

    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


class CallOutcome(StrEnum):
    """Where a call stands, or how it ended."""

    ANSWERED = "ANSWERED"
    NO_AGENT = "NO_AGENT"
    CALLER_HUNG_UP = "CALLER_HUNG_UP"
    RINGING = "RINGING"
    IN_PROGRESS = "IN_PROGRESS"


class Call(Model):
    """One call of a trunk. `sip_call_id` is LiveKit's, "SCL_…"."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField(
        "models.Workspace", on_delete=OnDelete.RESTRICT, db_index=False
    )
    workspace_id: str
    trunk: fields.ForeignKeyRelation[SipTrunk] = fields.ForeignKeyField(
        "models.SipTrunk", related_name="calls", db_index=False
    )
    trunk_id: str
    at = fields.DatetimeField()
    direction = fields.CharEnumField(CallDirection, max_length=16)
    from_number = fields.CharField(PARTY_MAX)
    to_number = fields.CharField(PARTY_MAX)
    outcome = fields.CharEnumField(CallOutcome, max_length=16)
    answered_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)
    agent_name = fields.CharField(AGENT_MAX, null=True)
    sip_call_id = fields.CharField(SIP_CALL_ID_MAX, unique=True)
    room = fields.CharField(ROOM_MAX, db_index=True)

    class Meta:
        """Indexed: the newest of a trunk."""

        table = "call"
        indexes = (("trunk_id", "at", "id"),)


class WebhookEvent(Model):
    """The id of a webhook that was taken: LiveKit sends one again when it got no answer."""

    id = fields.CharField(WEBHOOK_ID_MAX, primary_key=True)
    at = fields.DatetimeField(db_index=True)

    class Meta:
        """Ids only."""

        table = "webhook_event"
