"""Each voice call counted, timed and traced, by its method and how it ended. What it carries is not looked at."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from trunkline.metrics import Metrics
from trunkline.tracing import ERROR_TYPE, SpanKind, Tracer
from trunkline.voice import VoiceError

OK, INTERRUPTED = "OK", "INTERRUPTED"  # beside the causes of a VoiceError
Watch = Callable[[str], AbstractContextManager[None]]


def unwatched(_method: str) -> AbstractContextManager[None]:
    """Nobody looks."""
    return nullcontext()


def watching(metrics: Metrics, tracer: Tracer) -> Watch:
    """Note every call in both."""

    @contextmanager
    def watch(method: str) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        began, outcome = clock(), INTERRUPTED
        with tracer.span(f"voice {method}", SpanKind.CLIENT, {"trunkline.voice.method": method}) as note:
            try:
                yield
                outcome = OK
            except VoiceError as error:
                outcome = error.cause
                raise
            finally:
                metrics.voice_calls.labels(method, outcome).inc()
                metrics.voice_call_seconds.labels(method).observe(clock() - began)
                if outcome != OK:
                    note({ERROR_TYPE: outcome})

    return watch
