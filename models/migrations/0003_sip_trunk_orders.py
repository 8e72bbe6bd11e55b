from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.indexes import Index

# Whether an assistant works for a trunk is noted at the trunk by the database, whoever writes the assistant's row.
NOTE_ASSIGNED = """
    UPDATE sip_trunk SET assigned = NOT assigned
    WHERE id IN ({trunks}) AND assigned <> EXISTS (SELECT 1 FROM assistant WHERE assistant.trunk_id = sip_trunk.id)
"""

# Texts are ordered by their bytes on both databases: SQLite does so by itself, PostgreSQL by its collation "C".
# SQLite adds only virtual columns to a table, PostgreSQL 15 knows only stored ones.
STATEMENTS = {
    "sqlite": (
        "ALTER TABLE sip_trunk ADD COLUMN nickname_key VARCHAR(50) "
        "GENERATED ALWAYS AS (COALESCE(nickname, '')) VIRTUAL",
        *(
            f"CREATE TRIGGER assistant_{name} AFTER {event} ON assistant BEGIN {NOTE_ASSIGNED.format(trunks=trunks)}; END"
            for name, event, trunks in (
                ("assigned", "INSERT", "NEW.trunk_id"),
                ("reassigned", "UPDATE OF trunk_id", "OLD.trunk_id, NEW.trunk_id"),
                ("removed", "DELETE", "OLD.trunk_id"),
            )
        ),
    ),
    "postgres": (
        'ALTER TABLE sip_trunk ALTER COLUMN phone_number TYPE VARCHAR(16) COLLATE "C"',
        'ALTER TABLE sip_trunk ADD COLUMN nickname_key VARCHAR(50) COLLATE "C" '
        "GENERATED ALWAYS AS (COALESCE(nickname, '')) STORED",
        # The lock comes first, so that the UPDATE sees what those who held it before us have committed.
        f"""
        CREATE FUNCTION note_assigned() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM 1 FROM sip_trunk WHERE id IN (OLD.trunk_id, NEW.trunk_id) ORDER BY id FOR NO KEY UPDATE;
            {NOTE_ASSIGNED.format(trunks="OLD.trunk_id, NEW.trunk_id")};
            RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER assistant_assigned AFTER INSERT OR DELETE OR UPDATE OF trunk_id ON assistant "
        "FOR EACH ROW EXECUTE FUNCTION note_assigned()",
    ),
}
NICKNAME_INDEX = "CREATE INDEX idx_sip_trunk_nickname ON sip_trunk (workspace_id, nickname_key, id)"
COMMON = (
    "ALTER TABLE sip_trunk ADD COLUMN assigned BOOLEAN NOT NULL DEFAULT FALSE",
    "UPDATE sip_trunk SET assigned = TRUE WHERE id IN (SELECT trunk_id FROM assistant)",
    "CREATE INDEX idx_sip_trunk_assigned ON sip_trunk (workspace_id, assigned, created_at, id)",
)


async def add_what_the_database_keeps(apps, schema_editor):
    client = schema_editor.client
    for statement in (*COMMON, *STATEMENTS[client.capabilities.dialect], NICKNAME_INDEX):
        await client.execute_query(statement)


class Migration(migrations.Migration):
    dependencies = [('models', '0002_calls_events_scopes')]

    initial = False

    operations = [
        ops.RunPython(add_what_the_database_keeps),
        ops.AddIndex(
            model_name='SipTrunk',
            index=Index(fields=['workspace_id', 'updated_at', 'id']),
        ),
        ops.AddIndex(
            model_name='SipTrunk',
            index=Index(fields=['workspace_id', 'phone_number', 'id']),
        ),
        ops.AddIndex(
            model_name='SipTrunk',
            index=Index(fields=['workspace_id', 'status', 'created_at', 'id']),
        ),
        ops.AddIndex(
            model_name='SipTrunk',
            index=Index(fields=['workspace_id', 'sip_trunk_type', 'created_at', 'id']),
        ),
        ops.AddIndex(
            model_name='SipTrunk',
            index=Index(fields=['workspace_id', 'country_code', 'created_at', 'id']),
        ),
        ops.AddIndex(
            model_name='SipTrunk',
            index=Index(fields=['workspace_id', 'provider', 'created_at', 'id']),
        ),
    ]
