"""The door of the whole app: which Host and Origin are let in, a request id and the same safe headers on every answer.

It decides by headers that a browser sends and a page cannot forge; never by `request.url`, which is built from them.
"""

import re
import uuid
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

REQUEST_ID = "x-request-id"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": f"authorization, content-type, traceparent, {REQUEST_ID}",
    "access-control-max-age": "600",
}
GIVEN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+)(?::[0-9]{1,5})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
WEB_SCHEMES = {"ws": "http", "wss": "https"}
MISDIRECTED, FORBIDDEN, NO_CONTENT, POLICY_VIOLATION = 421, 403, 204, 1008


class Guard:
    """Wraps an app so that only known Hosts and Origins reach it. The id is in `scope["state"]["request_id"]`.

    signed_paths: what is proven there by a signature needs no known Host: whoever calls may know us by any name.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], origins: Iterable[str] = (), signed_paths: Iterable[str] = ()
    ) -> None:
        self.app, self.signed_paths = app, frozenset(signed_paths)
        self.hosts = frozenset(name for host in hosts if (name := host_name(_bracketed(host))))
        self.origins = frozenset(plain_origin(origin) for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or answer it here."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope = {**scope, "state": {**scope.get("state", {}), "request_id": request_id}}
        added = {**SAFE_HEADERS, REQUEST_ID: request_id, **self._cross_origin_headers(scope, headers)}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered.update(added)
                if self.origins:  # beside what else the answer varies with
                    answered.add_vary_header("Origin")
            await send(message)

        answer = self._answer_at_the_door(scope, headers)
        with bound_contextvars(request_id=request_id):
            if answer is None:
                return await self.app(scope, receive, send_with_headers)
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return await answer(scope, receive, send_with_headers)

    def _answer_at_the_door(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["path"] not in self.signed_paths and not self._host_is_served(headers):
            return _refusal(
                MISDIRECTED, "This host is not served here. TRUNKLINE_ALLOWED_HOSTS lists the hosts that are."
            )
        if not self._origin_is_allowed(scope, headers):
            return _refusal(
                FORBIDDEN, "Pages of this origin are not allowed. TRUNKLINE_ALLOWED_ORIGINS lists those that are."
            )
        if scope.get("method") == "OPTIONS" and "access-control-request-method" in headers:
            return Response(status_code=NO_CONTENT, headers=PREFLIGHT)
        return None

    def _host_is_served(self, headers: Headers) -> bool:
        given = headers.getlist("host")
        return len(given) == 1 and host_name(given[0]) in self.hosts

    def _origin_is_allowed(self, scope: Scope, headers: Headers) -> bool:
        given = headers.getlist("origin")
        return not given or (len(given) == 1 and (_is_own(scope, headers) or plain_origin(given[0]) in self.origins))

    def _cross_origin_headers(self, scope: Scope, headers: Headers) -> dict[str, str]:
        origin = headers.get("origin")
        if origin is None or _is_own(scope, headers) or not self._origin_is_allowed(scope, headers):
            return {}
        return {"access-control-allow-origin": origin, "access-control-expose-headers": REQUEST_ID}


def request_id_of(scope: Scope) -> str:
    """Tell the id of this request; one of its own where no Guard stands before the app."""
    return str(scope.setdefault("state", {}).setdefault("request_id", uuid.uuid4().hex))


def host_name(authority: str) -> str | None:
    """Take the port off a Host header, in lower case and with an IPv6 address's brackets; None when it is malformed."""
    match = AUTHORITY.fullmatch(authority.lower())
    return match[1] if match else None


def plain_origin(origin: str) -> str:
    """Write an origin in lower case and without its scheme's default port, so that equal origins are equal texts."""
    lowered = origin.lower()
    return lowered.removesuffix(DEFAULT_PORTS.get(lowered.partition(":")[0], "//"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _is_own(scope: Scope, headers: Headers) -> bool:
    scheme = WEB_SCHEMES.get(scope["scheme"], scope["scheme"])
    return plain_origin(headers["origin"]) == plain_origin(f"{scheme}://{headers.get('host', '')}")


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status, {"cache-control": "no-store"})
