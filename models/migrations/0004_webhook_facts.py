from tortoise import migrations
from tortoise.migrations import operations as ops
from models.call import CallDirection, CallOutcome, RoomFact
from tortoise.fields.base import OnDelete
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0003_sip_trunk_orders')]

    initial = False

    # Nothing has ever been written into these two. SQLite adds no column that must not be null, and Tortoise changes a
    # column there by making the table anew, without its indexes.
    operations = [
        ops.DeleteModel(name='Call'),
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
                ('outcome', fields.CharEnumField(description='ANSWERED: ANSWERED\nNO_AGENT: NO_AGENT\nCALLER_HUNG_UP: CALLER_HUNG_UP\nNOT_ANSWERED: NOT_ANSWERED\nUNKNOWN: UNKNOWN\nRINGING: RINGING\nIN_PROGRESS: IN_PROGRESS', enum_type=CallOutcome, max_length=16)),
                ('answered_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('ended_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('agent_name', fields.CharField(null=True, max_length=100)),
                ('sip_call_id', fields.CharField(unique=True, max_length=255)),
                ('room', fields.CharField(db_index=True, max_length=255)),
            ],
            options={'table': 'call', 'app': 'models', 'indexes': [Index(fields=['trunk_id', 'at', 'id']), Index(fields=['outcome', 'at'])], 'pk_attr': 'id', 'table_description': 'One call of a trunk. `sip_call_id` is LiveKit\'s, "SCL_…".'},
            bases=['Model'],
        ),
        ops.DeleteModel(name='WebhookEvent'),
        ops.CreateModel(
            name='WebhookEvent',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
                ('room', fields.CharField(db_index=True, max_length=255)),
                ('fact', fields.CharEnumField(description='CALLER_JOINED: CALLER_JOINED\nCALLER_LEFT: CALLER_LEFT\nAGENT_JOINED: AGENT_JOINED\nAUDIO: AUDIO\nROOM_FINISHED: ROOM_FINISHED', enum_type=RoomFact, max_length=16)),
                ('subject', fields.CharField(null=True, max_length=255)),
                ('sip_status', fields.CharField(null=True, max_length=16)),
            ],
            options={'table': 'webhook_event', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A webhook that was taken, by its id: LiveKit sends one again when it got no answer. Calls are made from these.'},
            bases=['Model'],
        ),
    ]
