"""Requests that wait together are answered together: one thread asks the classifier, batch by batch.

Nothing waits for a batch to fill. While a batch is computed, requests gather, and the next batch takes what is
there; a request that comes alone is taken at once. A large request gets a share of a batch and goes to the end of
the line, so that a small one never waits for all of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from stepdown.runtime.inputs import Text, texts_of

# What one batch holds at most; a pair is one text. More texts are no faster, and more characters keep others waiting.
MOST_TEXTS = 256
MOST_CHARACTERS = 65_536

T = TypeVar("T")
X = TypeVar("X", bound=Text)
Ask = Callable[[list[X]], Sequence[T]]
"""Answers texts, or pairs, one result for each. Two that are equal (==) are asked together."""


class Busy(Exception):
    """More texts wait already than may."""


@dataclass(frozen=True)
class Done(Generic[T]):
    """Results in the order of the texts, and the seconds that computing them took."""

    results: list[T]
    seconds: float


@dataclass(eq=False)
class _Job:
    """A request on its way. `texts` may make each text, or pair, when it is asked for it.

    Attributes:
        results: of the texts that were answered so far.
        taken: texts that were answered or are being answered.
    """

    ask: Ask[Any, Any]
    texts: Sequence[Text]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Done[Any]]
    results: list[Any] = field(default_factory=list)
    taken: int = 0
    seconds: float = 0.0
    dropped: bool = False


@dataclass(frozen=True)
class _Share:
    """The texts of a job that are in one batch."""

    job: _Job
    texts: list[Text]


class Batcher:
    """Takes requests from an event loop and answers them in a thread of its own.

    Attributes:
        waiting: texts that nobody has begun to answer.
    """

    def __init__(self, queue: int, on_batch: Callable[[int], None] | None = None) -> None:
        """Start the thread.

        Args:
            queue: texts that may wait; a request that finds nobody waiting is taken whatever its size.
            on_batch: told the number of texts of each batch, in the thread.
        """
        self.waiting = 0
        self._queue = queue
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="stepdown-batcher", daemon=True)
        self._thread.start()

    async def run(self, ask: Ask[X, T], texts: Sequence[X]) -> Done[T]:
        """Have texts answered. Cancelled, it costs nothing further but the batch that is being computed.

        Args:
            ask: answers them; called in the thread, with texts of this and of other requests.
            texts: n of them, or n pairs.

        Raises:
            Busy: too many texts wait.
            Exception: what `ask` raised.
        """
        if not texts:
            return Done([], 0.0)
        loop = asyncio.get_running_loop()
        job = _Job(ask, texts, loop, loop.create_future())
        with self._changed:
            if self.waiting and self.waiting + len(texts) > self._queue:
                raise Busy
            self.waiting += len(texts)
            self._jobs.append(job)
            self._changed.notify()
        try:
            return cast(Done[T], await job.future)
        finally:
            self._drop(job)

    def close(self) -> None:
        """Answer what waits, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _drop(self, job: _Job) -> None:
        with self._changed:
            job.dropped = True
            if job in self._jobs:
                self._jobs.remove(job)
                self.waiting -= len(job.texts) - job.taken

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closing)
                if not self._jobs:
                    return
                shares = self._take()
            self._answer(shares)

    def _take(self) -> list[_Share]:
        """A batch: of the first request, and of all others that ask alike, as much as fits."""
        ask = self._jobs[0].ask
        shares: list[_Share] = []
        texts = characters = 0
        for job in list(self._jobs):
            if texts == MOST_TEXTS or characters >= MOST_CHARACTERS:
                break
            if job.ask != ask:
                continue
            own: list[Text] = []
            while job.taken < len(job.texts) and texts < MOST_TEXTS and characters < MOST_CHARACTERS:
                own.append(job.texts[job.taken])
                job.taken += 1
                texts += 1
                characters += sum(map(len, texts_of(own[-1])))
            shares.append(_Share(job, own))
            self._jobs.remove(job)
            if job.taken < len(job.texts):
                self._jobs.append(job)
        self.waiting -= texts
        return shares

    def _answer(self, shares: list[_Share]) -> None:
        texts = [text for share in shares for text in share.texts]
        started = time.perf_counter()
        try:
            results = list(shares[0].job.ask(texts))
        except Exception as error:
            if len(shares) == 1:
                self._hand_back(shares[0].job, error)
            else:  # whichever request it came from, the others are not to suffer
                for share in shares:
                    self._answer([share])
            return
        seconds = time.perf_counter() - started
        if self._on_batch:
            self._on_batch(len(texts))
        at = 0
        for share in shares:
            job, count = share.job, len(share.texts)
            job.results += results[at : at + count]
            job.seconds += seconds * count / len(texts)
            at += count
            if len(job.results) == len(job.texts):
                self._hand_back(job, Done(job.results, job.seconds))

    def _hand_back(self, job: _Job, outcome: Done[Any] | Exception) -> None:
        def settle() -> None:
            if job.future.done():
                return
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

        # Under the lock: who drops a request may close its loop next.
        with self._changed:
            if not job.dropped:
                job.loop.call_soon_threadsafe(settle)
