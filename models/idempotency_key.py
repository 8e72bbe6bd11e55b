"""Which creation an idempotency key stands for. Holds no input and no secret: only an HMAC of the input."""

from typing import Any

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.secret import KEY_ID_MAX
from models.workspace import Workspace

KEY_MAX = 255


class IdempotencyKey(Model):
    """A key while its creation runs, and for 24 hours after it made a trunk, whether or not that is still there.

    Both of `trunk_id` and `problem` are null while it runs; a `problem` is kept only for the requests that wait for it.
    """

    id = fields.IntField(primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField(
        "models.Workspace", on_delete=OnDelete.RESTRICT, db_index=False
    )
    workspace_id: str
    key = fields.CharField(KEY_MAX)
    digest = fields.BinaryField()  # HMAC of the canonical input, the password included
    digest_key = fields.CharField(KEY_ID_MAX)
    trunk_id = fields.CharField(ID_LENGTH, null=True)
    problem: fields.Field[dict[str, Any] | None] = fields.JSONField(null=True)
    holder = fields.CharField(ID_LENGTH)  # the request that runs, or ran, the creation
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        """Unique: one meaning of a key in a workspace."""

        table = "idempotency_key"
        unique_together = (("workspace_id", "key"),)
