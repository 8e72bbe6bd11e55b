from tortoise import migrations
from tortoise.migrations import operations as ops
from models.trunk_leg import LegKind
from tortoise import fields

class DescribeField(ops.AlterField):
    """The column stays as it is: on SQLite an altered table is made anew, without its indexes."""

    async def database_forward(self, *args, **kwargs):
        pass


class Migration(migrations.Migration):
    dependencies = [('models', '0005_events_stay')]

    initial = False

    operations = [
        ops.AddField(
            model_name='SipTrunk',
            name='edge_key',
            field=fields.BinaryField(null=True),
        ),
        DescribeField(
            model_name='TrunkLeg',
            name='kind',
            field=fields.CharEnumField(description='INBOUND: inbound\nOUTBOUND: outbound\nDISPATCH: dispatch\nEDGE: edge', enum_type=LegKind, max_length=16),
        ),
    ]
