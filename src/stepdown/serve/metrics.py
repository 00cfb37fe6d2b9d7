"""Counters of one server, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

# From less than a millisecond, which a small student takes, to a queue that is full.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """What is counted; in a registry of its own, so that servers in one process stay apart."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """`waiting` tells how many texts wait at present."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.requests = Counter(
            "stepdown_requests",
            "Requests that were answered, by path and status.",
            ["path", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "stepdown_request_seconds",
            "From a request's headers to the end of its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.texts = Counter(
            "stepdown_texts",
            "Texts that the model read, those made to explain others included.",
            registry=self._registry,
        )
        self.batches = Histogram(
            "stepdown_batch_texts",
            "Texts that the model was given at a time.",
            buckets=_BATCHES,
            registry=self._registry,
        )
        queue = Gauge("stepdown_waiting_texts", "Texts that wait for the model.", registry=self._registry)
        queue.set_function(waiting)

    def batch(self, texts: int) -> None:
        """Count a batch of so many texts."""
        self.texts.inc(texts)
        self.batches.observe(texts)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
