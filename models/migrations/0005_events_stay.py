"""Nobody changes what happened, and PostgreSQL tells every replica of it when it is committed: ids and the action."""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

SQLITE = (
    """CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON "event"
    BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END""",
    """CREATE TRIGGER event_is_not_removed BEFORE DELETE ON "event"
    BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END""",
)
POSTGRES = (
    """CREATE FUNCTION event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'events are only ever added'; END $$""",
    """CREATE TRIGGER event_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON "event"
    FOR EACH STATEMENT EXECUTE FUNCTION event_stays()""",
    """CREATE FUNCTION event_is_told() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('trunkline_events',
            concat_ws(' ', NEW.id, NEW.workspace_id, NEW.action, coalesce(NEW.trunk_id, '-')));
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER event_is_told AFTER INSERT ON "event"
    FOR EACH ROW EXECUTE FUNCTION event_is_told()""",
)


async def add_triggers(_apps: Any, editor: Any) -> None:
    """Their SQL differs."""
    is_postgres = editor.client.capabilities.dialect == "postgres"
    for statement in POSTGRES if is_postgres else SQLITE:
        await editor.client.execute_script(statement)


class Migration(migrations.Migration):
    dependencies = [('models', '0004_webhook_facts')]

    initial = False

    operations = [ops.RunPython(add_triggers)]
