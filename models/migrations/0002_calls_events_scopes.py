from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from models.call import CallDirection, CallOutcome
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0001_initial')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Call',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('workspace', fields.ForeignKeyField('models.Workspace', source_field='workspace_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('trunk', fields.ForeignKeyField('models.SipTrunk', source_field='trunk_id', db_constraint=True, to_field='id', related_name='calls', on_delete=OnDelete.CASCADE)),
                ('at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('direction', fields.CharEnumField(description='INBOUND: INBOUND\nOUTBOUND: OUTBOUND', enum_type=CallDirection, max_length=16)),
                ('from_number', fields.CharField(max_length=128)),
                ('to_number', fields.CharField(max_length=128)),
                ('outcome', fields.CharEnumField(description='ANSWERED: ANSWERED\nNO_AGENT: NO_AGENT\nCALLER_HUNG_UP: CALLER_HUNG_UP\nRINGING: RINGING\nIN_PROGRESS: IN_PROGRESS', enum_type=CallOutcome, max_length=16)),
                ('answered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('agent_name', fields.CharField(null=True, max_length=100)),
                ('sip_call_id', fields.CharField(unique=True, max_length=255)),
                ('room', fields.CharField(db_index=True, max_length=255)),
            ],
            options={'table': 'call', 'app': 'models', 'indexes': [Index(fields=['trunk_id', 'at', 'id'])], 'pk_attr': 'id', 'table_description': 'One call of a trunk. `sip_call_id` is LiveKit\'s, "SCL_…".'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Event',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ('workspace', fields.ForeignKeyField('models.Workspace', source_field='workspace_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('actor', fields.CharField(max_length=64)),
                ('action', fields.CharField(max_length=48)),
                ('subject_id', fields.CharField(max_length=40)),
                ('trunk_id', fields.CharField(null=True, max_length=40)),
                ('changed_fields', fields.JSONField(encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads)),
                ('outcome', fields.CharField(max_length=48)),
                ('request_id', fields.CharField(null=True, max_length=128)),
            ],
            options={'table': 'event', 'app': 'models', 'indexes': [Index(fields=['workspace_id', 'at', 'id']), Index(fields=['trunk_id', 'at', 'id'])], 'pk_attr': 'id', 'table_description': 'One change of a trunk, an assistant or a key. It outlives its subject, so the ids are plain texts.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='WebhookEvent',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'webhook_event', 'app': 'models', 'pk_attr': 'id', 'table_description': 'The id of a webhook that was taken: LiveKit sends one again when it got no answer.'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='ApiKey',
            name='expires_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='ApiKey',
            name='last_used_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='ApiKey',
            name='scopes',
            field=fields.CharField(default='READ WRITE OPERATOR', db_default='READ WRITE OPERATOR', max_length=40),
        ),
        ops.AddField(
            model_name='SipTrunk',
            name='last_probe',
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads),
        ),
        ops.AddField(
            model_name='SipTrunk',
            name='provider',
            field=fields.CharField(null=True, max_length=40),
        ),
        ops.AddField(
            model_name='SipTrunk',
            name='provider_as_of',
            field=fields.CharField(null=True, max_length=10),
        ),
    ]
