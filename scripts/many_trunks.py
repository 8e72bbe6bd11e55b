"""Many trunks in a database without a creation for each: copies of the only one, written by two statements."""

from collections.abc import Mapping

from models.sip_trunk import SipTrunk
from models.trunk_leg import TrunkLeg
from trunkline import database

MOST = 1_000_003  # a prime: multiplying by another one shuffles all numbers below it
SHUFFLED = f"(CAST(n.i AS BIGINT) * 7919) % {MOST}"  # beyond 32 bits
FIRST_SECOND = 1_700_000_000
INSTANTS = {  # a time of a column from a number of seconds
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S+00:00', {}, 'unixepoch')",
    "postgres": "to_timestamp({})",
}


async def multiply(count: int) -> None:
    """Copy the first trunk until there are `count`, at most MOST, with other numbers, names, times, statuses and so on.

    Times of creation follow each other, everything else is shuffled. A third has no nickname, a hundredth has FAILED.
    """
    there = await SipTrunk.all().count()
    first = (await SipTrunk.all().order_by("-id").limit(1))[0].id  # those of the copies begin with zeros
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {there} UNION ALL SELECT n.i + 1 FROM n WHERE n.i < {count - 1})"  # noqa: S608  # whole numbers
    columns = {name: f"sip_trunk.{name}" for name in SipTrunk._meta.db_fields} | _changed()  # noqa: SLF001  # its columns
    await _copy("sip_trunk", columns, f"{numbers} SELECT", f"FROM n, sip_trunk WHERE sip_trunk.id = '{first}'")
    legs = {name: f"trunk_leg.{name}" for name in TrunkLeg._meta.db_fields - {"id"}}  # noqa: SLF001  # the same
    legs |= {"trunk_id": "sip_trunk.id", "voice_id": "'ST_' || sip_trunk.id || trunk_leg.kind"}
    new = f"sip_trunk.id >= 'trunk_{there:026}' AND sip_trunk.id < '{first}'"
    await _copy(
        "trunk_leg", legs, "SELECT", f"FROM sip_trunk, trunk_leg WHERE {new} AND trunk_leg.trunk_id = '{first}'"
    )
    if database.connection().capabilities.dialect == "postgres":  # does so by itself after a while; SQLite never does
        await database.connection().execute_query("VACUUM ANALYZE")


def _changed() -> dict[str, str]:
    instant = INSTANTS[database.connection().capabilities.dialect]
    return {
        "id": f"'trunk_' || {_padded('n.i', 26)}",
        "phone_number": f"'+40' || {_padded(SHUFFLED, 9)}",
        "nickname": f"CASE WHEN n.i % 3 > 0 THEN 'Line ' || {_padded(SHUFFLED, 7)} END",
        "sip_username": "'line' || n.i",
        "created_at": instant.format(f"{FIRST_SECOND} + n.i"),
        "updated_at": instant.format(f"{FIRST_SECOND} + {SHUFFLED}"),
        "status": "CASE n.i % 100 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'DEGRADED' ELSE 'ACTIVE' END",
        "sip_trunk_type": "CASE n.i % 10 WHEN 0 THEN 'EXTENSION' ELSE 'NUMBER' END",
        "country_code": "CASE n.i % 5 WHEN 0 THEN 'DE' WHEN 1 THEN 'US' ELSE 'RO' END",
        "provider": "CASE n.i % 4 WHEN 0 THEN 'telnyx' WHEN 1 THEN 'twilio' END",
        "assigned": "n.i % 10 = 0",
    }


def _padded(number: str, width: int) -> str:
    return f"substr('{'0' * width}' || ({number}), length('' || ({number})) + 1, {width})"


async def _copy(table: str, columns: Mapping[str, str], select: str, source: str) -> None:
    statement = f"INSERT INTO {table} ({', '.join(columns)}) {select} {', '.join(columns.values())} {source}"
    await database.connection().execute_query(statement)
