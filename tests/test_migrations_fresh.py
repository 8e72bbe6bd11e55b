"""The models and their migrations say the same."""

from pathlib import Path

from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector

from models.secret import Secret
from trunkline.database import tortoise_config
from trunkline.settings import Settings


async def test_no_model_differs_from_its_migrations(tmp_path: Path) -> None:
    config = tortoise_config(Settings(database_url=Secret(f"sqlite://{tmp_path}/never-opened.db")))
    async with TortoiseContext() as context:
        await context.init(config=config)
        assert context.apps
        pending = await MigrationAutodetector(context.apps, config["apps"]).changes()
    assert [operation for writer in pending for operation in writer.operations] == []
