"""Calls that reached a room, as LiveKit's webhooks told of them, and the webhooks themselves, as far as they do."""

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
SIP_STATUS_MAX = 16


class CallDirection(StrEnum):
    """Who called whom."""

    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


class CallOutcome(StrEnum):
    """Where a call stands, or how it ended."""

    ANSWERED = "ANSWERED"
    NO_AGENT = "NO_AGENT"
    CALLER_HUNG_UP = "CALLER_HUNG_UP"
    NOT_ANSWERED = "NOT_ANSWERED"
    UNKNOWN = "UNKNOWN"
    RINGING = "RINGING"
    IN_PROGRESS = "IN_PROGRESS"


class RoomFact(StrEnum):
    """What a webhook can tell about the room of a call."""

    CALLER_JOINED = "CALLER_JOINED"  # or, of an outbound call, who is called
    CALLER_LEFT = "CALLER_LEFT"
    AGENT_JOINED = "AGENT_JOINED"
    AUDIO = "AUDIO"  # of anybody else than a caller: LiveKit answers the call with it
    ROOM_FINISHED = "ROOM_FINISHED"


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
        """Indexed: the newest of a trunk, those under way, the oldest."""

        table = "call"
        indexes = (("trunk_id", "at", "id"), ("outcome", "at"))


class WebhookEvent(Model):
    """A webhook that was taken, by its id: LiveKit sends one again when it got no answer. Calls are made from these."""

    id = fields.CharField(WEBHOOK_ID_MAX, primary_key=True)
    at = fields.DatetimeField(db_index=True)  # by the clock of LiveKit
    room = fields.CharField(ROOM_MAX, db_index=True)
    fact = fields.CharEnumField(RoomFact, max_length=16)
    subject = fields.CharField(SIP_CALL_ID_MAX, null=True)  # the call's id or the agent's name
    sip_status = fields.CharField(SIP_STATUS_MAX, null=True)  # of a caller: LiveKit's sip.callStatus

    class Meta:
        """Kept as long as a call can last."""

        table = "webhook_event"
