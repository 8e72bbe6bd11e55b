"""The edge: one row per trunk, written to its database, then loaded by it. Refuses to count what it has not loaded.

Fulfils VoiceBackend for the kind EDGE alone. The edge's own state is told by the generation of its rows: where the one
that is loaded differs from the one that is written, it is told to load, whoever asked and whatever for.
"""

import asyncio
import secrets
from http import HTTPStatus

import aiohttp

from models.secret import Secret
from models.sip_trunk import SipTransport
from models.trunk_leg import LegKind
from trunkline.settings import SipEdge
from trunkline.voice import EdgeRoute, Held, Leg, VoiceError, VoiceKind
from trunkline.voice.edge_rows import Row, rows_at
from trunkline.voice.verdicts import misconfigured, missing, refused, unavailable, unknown_outcome

COLUMNS = "id, trunk_key, address, transport, username, password, metadata"
SELECT = f"SELECT {COLUMNS} FROM edge_route"  # noqa: S608  # no value is in it
INSERT = f"INSERT INTO edge_route ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"  # noqa: S608  # the same
UPDATE = """UPDATE edge_route
    SET trunk_key = $2, address = $3, transport = $4, username = $5, password = $6, metadata = $7 WHERE id = $1"""
RPC_SECONDS = 4.0  # ten thousand rows load in less than one
LOADS = 3  # another trunkline may write in between
ANSWER_BYTES = 100


class EdgeVoice:
    """Made inside the running loop."""

    kind = VoiceKind.LIVEKIT  # what stands behind it

    def __init__(self, edge: SipEdge) -> None:
        self._rows = rows_at(edge.database_url)
        self._url = edge.rpc_url
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),  # a restarted edge knows no old connection
            timeout=aiohttp.ClientTimeout(total=RPC_SECONDS),
            headers={"Authorization": f"Bearer {edge.rpc_token.reveal()}"},
        )
        self._loading = asyncio.Lock()

    async def create(self, leg: Leg) -> str:
        """Make a route and return its id."""
        voice_id = f"EDGE_{secrets.token_hex(8)}"
        await self._write(INSERT, voice_id, *_values(leg))
        return voice_id

    async def replace(self, voice_id: str, leg: Leg) -> None:
        """Set every field of a route."""
        if not await self._write(UPDATE, voice_id, *_values(leg)):
            raise missing()

    async def find(self, _kind: LegKind, voice_id: str) -> Held | None:
        """Look one route up by its id."""
        await self._load()
        found = await self._rows.read(f"{SELECT} WHERE id = $1", voice_id)
        return _held(found[0]) if found else None

    async def list(self, _kind: LegKind) -> list[Held]:
        """Every route, ours or not."""
        await self._load()
        return [_held(row) for row in await self._rows.read(f"{SELECT} ORDER BY id")]

    async def delete(self, _kind: LegKind, voice_id: str) -> None:
        """Remove a route; one that is not there is removed already."""
        await self._write("DELETE FROM edge_route WHERE id = $1", voice_id)

    async def ping(self) -> None:
        """Prove that the edge runs and accepts us."""
        await self._ask("GET")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _write(self, statement: str, *values: str) -> int:
        """Change rows and have them loaded; nothing is written while the edge is away, or reads something else."""
        await self._load()
        changed = await self._rows.write(statement, *values)
        try:
            await self._load()
        except VoiceError as error:
            raise unknown_outcome("The edge was written to, but has not loaded it.") from error
        return changed

    async def _load(self) -> None:
        """See to it that what is written is loaded; many writes at once share a load."""
        async with self._loading:
            for _ in range(LOADS):
                written = await self._written()
                if await self._ask("GET") == written or await self._ask("POST") == written:
                    return
        raise misconfigured("The edge does not load what is in TRUNKLINE_EDGE_DATABASE; is EDGE_DATABASE the same?")

    async def _written(self) -> str:
        rows = await self._rows.read("SELECT generation FROM edge_generation")
        return str(rows[0][0]) if rows else ""

    async def _ask(self, method: str) -> str:
        """The generation that is loaded: GET tells it, POST has everything loaded before."""
        try:
            async with self._http.request(method, self._url, allow_redirects=False) as answer:
                return _generation(answer.status, await answer.content.read(ANSWER_BYTES))
        except (aiohttp.ClientError, OSError):
            failure = unavailable("The edge could not be reached.")
        raise failure


def _generation(status: int, text: bytes) -> str:
    match status:
        case HTTPStatus.OK:
            return text.decode(errors="replace")
        case HTTPStatus.UNAUTHORIZED:
            raise misconfigured("What answers at TRUNKLINE_EDGE_RPC_URL did not accept TRUNKLINE_EDGE_RPC_TOKEN.")
        case HTTPStatus.INTERNAL_SERVER_ERROR:
            raise unavailable("The edge could not load its rows; its own log tells why.")
        case _:
            raise misconfigured(f"What answers at TRUNKLINE_EDGE_RPC_URL is no edge (HTTP {status}).")


def _values(leg: Leg) -> tuple[str, ...]:
    """The columns of a route but its id."""
    if not isinstance(leg, EdgeRoute):
        raise refused("an object of another kind")
    key, password = leg.edge_key.reveal(), leg.auth_password.reveal()
    values = (key, leg.address, leg.transport, leg.auth_username, password, leg.metadata)
    if any(0xD800 <= ord(letter) < 0xE000 for value in values for letter in value):  # noqa: PLR2004  # surrogates
        raise refused("text that is not Unicode")
    return values


def _held(row: Row) -> Held:
    """Read a route; a transport that we never write makes it inexact."""
    voice_id, key, address, transport, username, password, metadata = map(str, row)
    known = transport in set(SipTransport)
    spoken = SipTransport(transport) if known else SipTransport.UDP
    leg = EdgeRoute(Secret(key), address, spoken, username, Secret(password), metadata)
    return Held(voice_id, leg, exact=known)
