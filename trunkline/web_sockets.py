"""uvicorn's web sockets, but a client that takes no answers is not read any further: it could make us keep them all.

uvicorn answers each PING at once and waits for nobody, so that what a stranger does not read would grow in memory.
"""

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent


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

    async def receive(self) -> "ASGIReceiveEvent":
        """Take the next message, after which uvicorn would read on in any case."""
        message = await super().receive()
        if not self.writable.is_set():
            self.transport.pause_reading()
        return message
