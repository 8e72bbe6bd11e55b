"""The HTTP side of talking to LiveKit. Refuses to follow redirects and to take a web page for an answer.

Every answer but a good one becomes a VoiceError here, before the SDK can follow a redirect (which would hand passwords
on), lose Retry-After or stumble over an error that is not Twirp's JSON.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from aiohttp.tracing import Trace
from google.protobuf.message import DecodeError

from trunkline.voice import VoiceCause, VoiceError
from trunkline.voice.verdicts import misconfigured, refused, unavailable, unknown_outcome, verdict

CONNECT_SECONDS = 3.0  # below every call's deadline: a host that swallows packets is UNAVAILABLE, not OUTCOME_UNKNOWN
PROTOBUF = "application/protobuf"
EXPECTED = (aiohttp.ClientError, DecodeError, OSError, UnicodeError)  # a TimeoutError is an OSError

T = TypeVar("T")


def open_session() -> aiohttp.ClientSession:
    """Open a session for one LiveKit server; it belongs to the running loop."""
    return aiohttp.ClientSession(
        connector=_Connector(), cookie_jar=aiohttp.DummyCookieJar(), middlewares=(_only_good_answers,)
    )


async def told(call: Awaitable[T]) -> T:
    """Await a call of the SDK; VoiceError is all that it raises."""
    try:
        return await call
    except EXPECTED as error:
        failure, cause = error_of(error), error
    raise failure from (
        None if isinstance(cause, UnicodeError) else cause
    )  # that one holds the whole text, a secret's too


async def asked(call: Awaitable[T]) -> T:
    """Await a call that only reads: without a good answer nothing is unknown, since nothing was to be done."""
    try:
        return await told(call)
    except VoiceError as error:
        if error.cause is not VoiceCause.OUTCOME_UNKNOWN:
            raise
        unread = unavailable("LiveKit did not give a readable answer.")
        raise unread from error


def error_of(error: Exception) -> VoiceError:
    """Tell what an exception of the SDK or of its HTTP client means."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return misconfigured("The TLS certificate of LIVEKIT_URL is untrusted, expired or of another name.")
        case aiohttp.ClientSSLError():
            return misconfigured("LIVEKIT_URL asks for TLS, and what answers there does not speak it.")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return unavailable("LiveKit could not be reached.")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return misconfigured("LIVEKIT_URL is not a URL that can be called.")
        case UnicodeError():
            return refused("text that is not Unicode")
        case _:
            return unknown_outcome("The connection to LiveKit broke before a readable answer was there.")


class _Connector(aiohttp.TCPConnector):
    """Gives up a connection that does not come about, which the SDK cannot be told to do."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ARG002, ASYNC109  # the SDK always hands an empty one down
    ) -> aiohttp.connector.Connection:
        return await super().connect(req, traces, aiohttp.ClientTimeout(connect=CONNECT_SECONDS))


async def _only_good_answers(
    request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status == HTTPStatus.OK and response.content_type == PROTOBUF:
        return response
    try:
        raise _foreign(response) if response.status == HTTPStatus.OK else await _verdict_on(response)
    finally:
        response.close()


def _foreign(response: aiohttp.ClientResponse) -> VoiceError:
    """Judge a 200 that is not Twirp's: a web page comes from no LiveKit and did nothing, a bare body tells nothing."""
    if "Content-Type" in response.headers:
        return misconfigured("What answers at LIVEKIT_URL is no LiveKit server (it sent a web page); check the URL.")
    return unknown_outcome("LiveKit answered with something that cannot be read.")


class AnsweredError(VoiceError):
    """A VoiceError with what LiveKit said beside its verdict; both may hold a stranger's words."""

    def __init__(self, verdict: VoiceError, message: str, meta: Mapping[str, str]) -> None:
        super().__init__(verdict.cause, verdict.detail, verdict.retry_after)
        self.message = message
        self.meta = meta


async def _verdict_on(response: aiohttp.ClientResponse) -> VoiceError:
    try:
        error = json.loads(await response.read())
    except (aiohttp.ClientError, ValueError, RecursionError):
        error = None  # not Twirp's JSON: the status decides alone
    twirp = error if isinstance(error, dict) else {}
    retry_after, message, meta = response.headers.get("Retry-After", ""), str(twirp.get("msg", "")), twirp.get("meta")
    said = {str(name): str(text) for name, text in meta.items()} if isinstance(meta, dict) else {}
    return AnsweredError(verdict(response.status, str(twirp.get("code", "")), message, retry_after), message, said)
