"""Who owns trunks and keys, and which installation this database belongs to."""

from enum import StrEnum

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.models import Model

from models.identifiers import ID_LENGTH
from models.secret import KEY_ID_MAX

NAME_MAX = 100
KEYS_MAX = 100  # that work, of one workspace: they are listed whole


class Installation(Model):
    """The one row that names this database. Its id is in every marker at the voice backend."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    only = fields.BooleanField(default=True, unique=True)  # a second row cannot exist
    created_at = fields.DatetimeField()

    class Meta:
        """A table of one row."""

        table = "installation"


class Workspace(Model):
    """A tenant."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    name = fields.CharField(NAME_MAX, unique=True)
    created_at = fields.DatetimeField()

    class Meta:
        """Names are unique in an installation."""

        table = "workspace"


class ApiKeyScope(StrEnum):
    """What a key may do. Each includes nothing of the others."""

    READ = "READ"
    WRITE = "WRITE"
    OPERATOR = "OPERATOR"


ALL_SCOPES = " ".join(ApiKeyScope)  # what a key may do unless it is told otherwise


class ApiKey(Model):
    """A key of a workspace. Only an HMAC of it is kept."""

    id = fields.CharField(ID_LENGTH, primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField(
        "models.Workspace", on_delete=OnDelete.RESTRICT
    )
    workspace_id: str
    name = fields.CharField(NAME_MAX)
    prefix = fields.CharField(16)  # what is shown of the key
    lookup = fields.CharField(64, unique=True)  # the key's own id, or for a supplied key its HMAC in hex
    digest = fields.BinaryField()
    pepper_id = fields.CharField(KEY_ID_MAX)  # the ring's key whose pepper made the digest
    scopes = fields.CharField(40, default=ALL_SCOPES, db_default=ALL_SCOPES)  # of ApiKeyScope, blanks between
    expires_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)  # to the minute or so: not written at every request
    revoked_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        """Found by `lookup`, compared by `digest`."""

        table = "api_key"
