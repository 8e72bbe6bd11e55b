"""Fifty creations at once: one suite for SQLite and for PostgreSQL."""

import asyncio
from collections import Counter

from tests.api import codes, served_house
from trunkline.settings import Settings

AT_ONCE = 50
PATIENCE_SECONDS = 30.0


async def of_identical_creates_exactly_one_succeeds(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        payloads = await asyncio.gather(*(house.api.create() for _ in range(AT_ONCE)))
        answers = Counter(tuple(codes(payload)) for payload in payloads)
        assert answers[()] == 1
        assert set(answers) <= {(), ("ALREADY_EXISTS",), ("NUMBER_IN_USE",)}
        assert len(await house.api.trunks()) == 1
        assert house.voice.count("create") == 2


async def of_creates_with_one_called_text_exactly_one_succeeds(settings: Settings) -> None:
    """`1000`, `10-00` and `1-000` are one number for the voice backend."""
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        extensions = ("1000", "10-00", "1-000")
        payloads = await asyncio.gather(
            *(
                house.api.create(
                    sipTrunkType="EXTENSION",
                    phoneNumber=extensions[number % 3],
                    sipUsername=f"user{number}",
                    countryCode="RO",
                )
                for number in range(AT_ONCE)
            )
        )
        answers = Counter(tuple(codes(payload)) for payload in payloads)
        assert answers == {(): 1, ("NUMBER_IN_USE",): AT_ONCE - 1}
        assert house.voice.count("create") == 2


async def different_creates_all_succeed(settings: Settings) -> None:
    async with served_house(settings) as house, asyncio.timeout(PATIENCE_SECONDS):
        extensions = [f"3{number:03}" for number in range(AT_ONCE)]
        create = house.api.create
        payloads = await asyncio.gather(
            *(create(sipTrunkType="EXTENSION", phoneNumber=each, countryCode="RO") for each in extensions)
        )
        assert [codes(payload) for payload in payloads] == [[]] * AT_ONCE
        assert len(await house.api.trunks()) == AT_ONCE


ALL = (
    of_identical_creates_exactly_one_succeeds,
    of_creates_with_one_called_text_exactly_one_succeeds,
    different_creates_all_succeed,
)
