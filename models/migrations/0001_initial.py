from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from models.assistant import AssistantType
from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipCallingFormat, SipTransport, SipTrunkType, TrunkStatus
from models.trunk_leg import LegKind, LegState
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name='Installation',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('only', fields.BooleanField(default=True, unique=True)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'installation', 'app': 'models', 'pk_attr': 'id', 'table_description': 'The one row that names this database. Its id is in every marker at the voice backend.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='RetiredTrunk',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('retired_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'retired_trunk', 'app': 'models', 'pk_attr': 'id', 'table_description': 'The id of a trunk that is gone for good: what arrives late of it at the voice backend is ours to remove.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Workspace',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('name', fields.CharField(unique=True, max_length=100)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'workspace', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A tenant.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ApiKey',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('workspace', fields.ForeignKeyField('models.Workspace', source_field='workspace_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('name', fields.CharField(max_length=100)),
                ('prefix', fields.CharField(max_length=16)),
                ('lookup', fields.CharField(unique=True, max_length=64)),
                ('digest', fields.BinaryField()),
                ('pepper_id', fields.CharField(max_length=16)),
                ('revoked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'api_key', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A key of a workspace. Only an HMAC of it is kept.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('workspace', fields.ForeignKeyField('models.Workspace', source_field='workspace_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('key', fields.CharField(max_length=255)),
                ('digest', fields.BinaryField()),
                ('digest_key', fields.CharField(max_length=16)),
                ('trunk_id', fields.CharField(null=True, max_length=40)),
                ('problem', fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads)),
                ('holder', fields.CharField(max_length=40)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'idempotency_key', 'app': 'models', 'unique_together': (('workspace_id', 'key'),), 'pk_attr': 'id', 'table_description': 'A key while its creation runs, and for 24 hours after it made a trunk, whether or not that is still there.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SipTrunk',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('workspace', fields.ForeignKeyField('models.Workspace', source_field='workspace_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('sip_trunk_type', fields.CharEnumField(description='EXTENSION: EXTENSION\nNUMBER: NUMBER', enum_type=SipTrunkType, max_length=16)),
                ('phone_number', fields.CharField(max_length=16)),
                ('nickname', fields.CharField(null=True, max_length=50)),
                ('sip_username', fields.CharField(max_length=128)),
                ('sip_password', fields.BinaryField()),
                ('sip_password_key', fields.CharField(max_length=16)),
                ('sip_address', fields.CharField(max_length=253)),
                ('sip_port', fields.IntField(null=True)),
                ('sip_transport', fields.CharEnumField(description='UDP: UDP\nTCP: TCP\nTLS: TLS', enum_type=SipTransport, max_length=16)),
                ('media_encryption', fields.CharEnumField(description='AUTO: AUTO\nDISABLED: DISABLED\nALLOWED: ALLOWED\nREQUIRED: REQUIRED', enum_type=MediaEncryption, max_length=16)),
                ('sip_calling_format', fields.CharEnumField(description='PLUS_E164: PLUS_E164\nE164: E164\nNATIONAL: NATIONAL', enum_type=SipCallingFormat, max_length=16)),
                ('inbound_authorization_type', fields.CharEnumField(description='AUTH: AUTH\nIP: IP', enum_type=InboundAuthorizationType, max_length=16)),
                ('allowed_inbound_ips', fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads)),
                ('country_code', fields.CharField(max_length=2)),
                ('outbound_proxy', fields.BooleanField()),
                ('status', fields.CharEnumField(description='CLAIMED: CLAIMED\nRELEASING: RELEASING\nPROVISIONING: PROVISIONING\nACTIVE: ACTIVE\nDEGRADED: DEGRADED\nFAILED: FAILED\nDELETING: DELETING', enum_type=TrunkStatus, max_length=16)),
                ('revision', fields.IntField(default=1)),
                ('previous', fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads)),
                ('next_attempt_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('lease_owner', fields.CharField(null=True, max_length=40)),
                ('lease_until', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('absent_since', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'sip_trunk', 'app': 'models', 'unique_together': (('workspace_id', 'phone_number', 'sip_username', 'sip_address'),), 'indexes': [Index(fields=['workspace_id', 'created_at', 'id']), Index(fields=['status', 'next_attempt_at'])], 'pk_attr': 'id', 'table_description': 'One trunk, or the claim of one that is still being created.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Assistant',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('workspace', fields.ForeignKeyField('models.Workspace', source_field='workspace_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('name', fields.CharField(max_length=100)),
                ('agent_name', fields.CharField(max_length=100)),
                ('type', fields.CharEnumField(description='INBOUND: INBOUND\nOUTBOUND: OUTBOUND', enum_type=AssistantType, max_length=16)),
                ('trunk', fields.ForeignKeyField('models.SipTrunk', source_field='trunk_id', null=True, db_constraint=True, to_field='id', related_name='assistants', on_delete=OnDelete.SET_NULL)),
                ('answers_trunk_id', fields.CharField(null=True, unique=True, max_length=40)),
                ('previous', fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'assistant', 'app': 'models', 'indexes': [Index(fields=['workspace_id', 'created_at', 'id'])], 'pk_attr': 'id', 'table_description': 'An agent by its LiveKit name, and the trunk it works for. `trunk` of an INBOUND one has a dispatch rule.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='CalledText',
            fields=[
                ('text', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('trunk', fields.ForeignKeyField('models.SipTrunk', source_field='trunk_id', db_constraint=True, to_field='id', related_name='called_texts', on_delete=OnDelete.CASCADE)),
            ],
            options={'table': 'called_text', 'app': 'models', 'pk_attr': 'text', 'table_description': 'A text that the voice backend answers to. It has one owner in all workspaces, hence the primary key.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='TrunkLeg',
            fields=[
                ('id', fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('trunk', fields.ForeignKeyField('models.SipTrunk', source_field='trunk_id', db_constraint=True, to_field='id', related_name='legs', on_delete=OnDelete.CASCADE)),
                ('kind', fields.CharEnumField(description='INBOUND: inbound\nOUTBOUND: outbound\nDISPATCH: dispatch', enum_type=LegKind, max_length=16)),
                ('state', fields.CharEnumField(default=LegState.READY, description='PENDING: PENDING\nREADY: READY\nMISSING: MISSING\nDRIFTED: DRIFTED\nREFUSED: REFUSED\nREMOVING: REMOVING', enum_type=LegState, max_length=16)),
                ('voice_id', fields.CharField(null=True, db_index=True, max_length=64)),
                ('applied_revision', fields.IntField(default=0)),
                ('applied_fingerprint', fields.CharField(null=True, max_length=96)),
                ('attempts', fields.IntField(default=0)),
                ('error_code', fields.CharField(null=True, max_length=32)),
                ('error_message', fields.CharField(null=True, max_length=500)),
                ('error_retryable', fields.BooleanField(default=False)),
                ('error_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('next_attempt_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('checked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'trunk_leg', 'app': 'models', 'unique_together': (('trunk_id', 'kind'),), 'pk_attr': 'id', 'table_description': 'A leg of a trunk: what was applied last, and the last error since.'},
            bases=['Model'],
        ),
    ]
