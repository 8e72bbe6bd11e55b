"""LiveKit's webhooks at several connections of one PostgreSQL at once, as with several replicas."""

from pathlib import Path

from tests.real.test_postgres_creates import postgres_settings
from tests.webhook_api import posting_house, webhooks_at_once_are_all_taken


async def test_webhooks_at_once_are_all_taken(tmp_path: Path, postgres_url: str) -> None:
    async with posting_house(postgres_settings(tmp_path, postgres_url)) as house:
        await webhooks_at_once_are_all_taken(house)
