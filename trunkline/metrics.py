"""What is counted and timed, for Prometheus. Labels are names of the schema and our own words, never a client's text.

One value per running app, handed on by the composition root: nothing is registered globally.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from trunkline.observation import Observation, Outcome

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 3600)
REQUEST_ERROR, INTERNAL_ERROR = "REQUEST_ERROR", "INTERNAL_ERROR"


class Metrics:
    """Every counter, gauge and histogram there is, by the noun it counts. docs/operating.md has the table."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector):
            collector(registry=self.registry)
        GCCollector(self.registry)
        self.requests = self._counter("requests", "HTTP requests.", "route", "status")
        self.request_seconds = self._histogram("request_seconds", "Time until a request was answered.", QUICK, "route")
        self.operations = self._counter("operations", "Root fields that were run.", "operation", "outcome")
        self.operation_seconds = self._histogram("operation_seconds", "Time of a root field.", QUICK, "operation")
        self.errors = self._counter("errors", "Errors told to clients.", "code")
        self.provision_seconds = self._histogram(
            "provision_seconds",
            "Time from the wish for a trunk to its being in place, or refused.",
            SLOW,
            "mode",
            "code",
        )
        self.voice_calls = self._counter("voice_calls", "Calls to the voice backend.", "method", "outcome")
        self.voice_call_seconds = self._histogram("voice_call_seconds", "Time of such a call.", QUICK, "method")
        self.reconcile_passes = self._counter("reconcile_passes", "Comparisons of everything.", "outcome")
        self.reconcile_seconds = self._histogram("reconcile_seconds", "Time of one comparison.", SLOW)
        self.reconciled_at = self._gauge("reconcile_last_success_timestamp_seconds", "When one succeeded last.")
        self.reconcile_lag = self._gauge("reconcile_lag_seconds", "How long the trunk that is due longest has waited.")
        self.trunks = self._gauge("trunks", "Trunks of all workspaces.", "status")
        self.alarms = self._counter("alarms", "Warnings of the log that an operator should look at.", "event")
        self.subscriptions = self._gauge("subscriptions_open", "Subscriptions that are being listened to.")
        self.calls = self._counter("calls", "Calls of trunks, as LiveKit told of them.", "outcome")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"trunkline_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"trunkline_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"trunkline_{name}", what, labels, buckets=buckets, registry=self.registry)

    def count(self, seen: Observation, outcome: Outcome) -> None:
        """Count what a request, or an operation of a subscription's connection, has run."""
        for operation in seen.operations:
            self.operations.labels(operation.name, operation.outcome).inc()
            self.operation_seconds.labels(operation.name).observe(operation.seconds)
            for code in operation.codes:
                self.errors.labels(code).inc()
        if outcome is Outcome.REQUEST_ERROR:
            self.errors.labels(REQUEST_ERROR).inc()
        if outcome is Outcome.FAILED:
            self.errors.labels(INTERNAL_ERROR).inc()
