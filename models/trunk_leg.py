"""One row per object that is wanted at the voice backend, and what came of it."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from models.sip_trunk import SipTrunk

VOICE_ID_MAX = 64
CODE_MAX = 32
MESSAGE_MAX = 500
FINGERPRINT_MAX = 96


class LegKind(StrEnum):
    """Which object of the voice backend a leg is; with outboundProxy one of them is at the edge."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    DISPATCH = "dispatch"
    EDGE = "edge"


class LegState(StrEnum):
    """Where a leg stands."""

    PENDING = "PENDING"  # wanted, or changed, and not applied yet
    READY = "READY"  # in place, as wanted
    MISSING = "MISSING"  # was in place; the voice backend has lost it
    DRIFTED = "DRIFTED"  # in place, but somebody changed it
    REFUSED = "REFUSED"  # the voice backend refused it for good
    REMOVING = "REMOVING"  # not wanted any more


class TrunkLeg(Model):
    """A leg of a trunk: what was applied last, and the last error since."""

    id = fields.IntField(primary_key=True)
    trunk: fields.ForeignKeyRelation[SipTrunk] = fields.ForeignKeyField(
        "models.SipTrunk", related_name="legs", db_index=False
    )
    trunk_id: str
    kind = fields.CharEnumField(LegKind, max_length=16)
    state = fields.CharEnumField(LegState, max_length=16, default=LegState.READY)
    voice_id = fields.CharField(VOICE_ID_MAX, null=True, db_index=True)
    applied_revision = fields.IntField(default=0)
    applied_fingerprint = fields.CharField(FINGERPRINT_MAX, null=True)  # keyed digest of what was written last
    attempts = fields.IntField(default=0)  # since the last success
    error_code = fields.CharField(CODE_MAX, null=True)
    error_message = fields.CharField(MESSAGE_MAX, null=True)
    error_retryable = fields.BooleanField(default=False)
    error_at = fields.DatetimeField(null=True)
    next_attempt_at = fields.DatetimeField(null=True)
    checked_at = fields.DatetimeField(null=True)

    class Meta:
        """Unique: one leg of each kind per trunk."""

        table = "trunk_leg"
        unique_together = (("trunk_id", "kind"),)
