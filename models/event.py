"""What happened, append-only: who changed what, when, and how it ended. Field names, never values."""

from enum import StrEnum

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.workspace import Workspace

ACTOR_MAX = 64
ACTION_MAX = 48
OUTCOME_MAX = 48
REQUEST_ID_MAX = 128


class Action(StrEnum):
    """What happens to trunks and assistants, and with trunks' calls.

    A change that needs the voice backend is requested first, then ended.
    """

    TRUNK_CREATED = "sip_trunk.created"
    TRUNK_PROVISIONED = "sip_trunk.provisioned"
    TRUNK_ADOPTED = "sip_trunk.adopted"
    TRUNK_UPDATE_REQUESTED = "sip_trunk.update_requested"
    TRUNK_UPDATED = "sip_trunk.updated"
    TRUNK_REPROVISION_REQUESTED = "sip_trunk.reprovision_requested"
    TRUNK_REPROVISIONED = "sip_trunk.reprovisioned"
    TRUNK_DEGRADED = "sip_trunk.degraded"
    TRUNK_RECOVERED = "sip_trunk.recovered"
    TRUNK_DELETE_REQUESTED = "sip_trunk.delete_requested"
    TRUNK_DELETED = "sip_trunk.deleted"
    TRUNK_TEST_CALLED = "sip_trunk.test_called"
    TRUNK_SELF_TESTED = "sip_trunk.self_tested"
    CALL_BEGAN = "call.began"
    CALL_ENDED = "call.ended"
    ASSISTANT_ADOPTED = "assistant.adopted"
    ASSISTANT_CREATE_REQUESTED = "assistant.create_requested"
    ASSISTANT_CREATED = "assistant.created"
    ASSISTANT_UPDATE_REQUESTED = "assistant.update_requested"
    ASSISTANT_UPDATED = "assistant.updated"
    ASSISTANT_UNASSIGNED = "assistant.unassigned"
    ASSISTANT_DELETE_REQUESTED = "assistant.delete_requested"
    ASSISTANT_DELETED = "assistant.deleted"
    KEYRING_ROTATED = "keyring.rotated"
    KEYRING_DROPPED = "keyring.dropped"


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
