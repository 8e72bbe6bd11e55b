"""One row per object that is wanted at the voice backend."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from models.sip_trunk import SipTrunk

VOICE_ID_MAX = 64


class LegKind(StrEnum):
    """Which object of the voice backend a leg is."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    DISPATCH = "dispatch"


class TrunkLeg(Model):
    """A leg of a trunk and the id that the voice backend gave it."""

    id = fields.IntField(primary_key=True)
    trunk: fields.ForeignKeyRelation[SipTrunk] = fields.ForeignKeyField(
        "models.SipTrunk", related_name="legs", db_index=False
    )
    trunk_id: str
    kind = fields.CharEnumField(LegKind, max_length=16)
    voice_id = fields.CharField(VOICE_ID_MAX)
    applied_revision = fields.IntField()

    class Meta:
        """Unique: one leg of each kind per trunk."""

        table = "trunk_leg"
        unique_together = (("trunk_id", "kind"),)
