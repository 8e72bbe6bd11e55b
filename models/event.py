"""What happened, append-only: who changed what, when, and how it ended. Field names, never values."""

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.workspace import Workspace

ACTOR_MAX = 64
ACTION_MAX = 48
OUTCOME_MAX = 48
REQUEST_ID_MAX = 128


class Event(Model):
    """One change of a trunk, an assistant or a key. It outlives its subject, so the ids are plain texts."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField(
        "models.Workspace", on_delete=OnDelete.RESTRICT, db_index=False
    )
    workspace_id: str
    at = fields.DatetimeField()
    actor = fields.CharField(ACTOR_MAX)  # the API key's id, or the part of trunkline that acted by itself
    action = fields.CharField(ACTION_MAX)  # noun and verb, such as sip_trunk.created
    subject_id = fields.CharField(ID_LENGTH)
    trunk_id = fields.CharField(ID_LENGTH, null=True)  # the trunk that it concerns, where there is one
    changed_fields: fields.Field[list[str]] = fields.JSONField()
    outcome = fields.CharField(OUTCOME_MAX)  # SUCCEEDED, or the code of the failure
    request_id = fields.CharField(REQUEST_ID_MAX, null=True)

    class Meta:
        """Indexed: the newest of a workspace, and of a trunk."""

        table = "event"
        indexes = (("workspace_id", "at", "id"), ("trunk_id", "at", "id"))
