"""An assistant as it is remembered: who answers the calls of a trunk."""

from enum import StrEnum
from typing import Any

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.sip_trunk import SipTrunk
from models.workspace import Workspace

NAME_MAX = 100
AGENT_NAME_MAX = 100


class AssistantType(StrEnum):
    """Whether an assistant takes calls or places them."""

    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


class Assistant(Model):
    """An agent by its LiveKit name, and the trunk it works for. `trunk` of an INBOUND one has a dispatch rule."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField(
        "models.Workspace", on_delete=OnDelete.RESTRICT, db_index=False
    )
    workspace_id: str
    name = fields.CharField(NAME_MAX)
    agent_name = fields.CharField(AGENT_NAME_MAX)
    type = fields.CharEnumField(AssistantType, max_length=16)
    trunk: fields.ForeignKeyNullableRelation[SipTrunk] = fields.ForeignKeyField(
        "models.SipTrunk", related_name="assistants", null=True, on_delete=OnDelete.SET_NULL
    )
    trunk_id: str | None
    # The trunk again, of INBOUND assistants alone: unique, so that a number is answered by one assistant.
    answers_trunk_id = fields.CharField(ID_LENGTH, null=True, unique=True)
    # While its rule is being made: the columns to go back to when that is refused; {} when it was not there before.
    previous: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        """Indexed: the page order."""

        table = "assistant"
        indexes = (("workspace_id", "created_at", "id"),)
