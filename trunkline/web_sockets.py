"""uvicorn's web sockets, but no client can make us keep more and more.

uvicorn answers each PING at once and waits for nobody, so that what a stranger does not read would grow in memory; and
it keeps the fragments of a message, of which only the bytes are bounded.
"""

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent
    from websockets.frames import Frame

FRAGMENTS_MOST = 1_000  # of a message: 64 KB in pieces of 64 bytes


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection: while its answers wait to be taken, nothing more is read of it."""

    def pause_writing(self) -> None:
        """Too much waits to be taken."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It was taken. Where a message waits for us, uvicorn reads on when we have it."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_cont(self, event: "Frame") -> None:
        """Take a fragment; empty ones may be without number."""
        if len(self.frames) < FRAGMENTS_MOST:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "Too many fragments")
            self.handle_parser_exception()

    async def receive(self) -> "ASGIReceiveEvent":
        """Take the next message, after which uvicorn would read on in any case."""
        message = await super().receive()
        if not self.writable.is_set():
            self.transport.pause_reading()
        return message
