"""Requests that wait together are answered together, and each gets its own answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from stepdown.serve.batcher import MOST_CHARACTERS, MOST_TEXTS, Batcher, Busy


class Ask:
    """Answers each text with itself in capitals; can be held, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, texts: list[str]) -> list[str]:
        self.asked.append(texts)
        self.begun.set()
        assert self.free.wait(30)
        if "bad" in texts:
            raise ValueError("a bad text")
        return [text.upper() for text in texts]

    def hold(self) -> None:
        self.begun.clear()
        self.free.clear()

    async def wait_until_asked(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 30)


@pytest.fixture
def ask() -> Ask:
    return Ask()


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher(queue=5000)
    yield made
    made.close()


def going(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


async def held(batcher: Batcher, ask: Ask) -> asyncio.Task[Any]:
    """A request that is being answered, until `ask` is let free."""
    ask.hold()
    first = going(batcher.run(ask, ["first"]))
    await ask.wait_until_asked()
    return first


def test_what_waits_is_answered_together_and_in_order(batcher: Batcher, ask: Ask) -> None:
    async def main() -> None:
        first = await held(batcher, ask)
        others = [going(batcher.run(ask, [f"a{n}", f"b{n}"])) for n in range(40)]
        await asyncio.sleep(0)
        assert batcher.waiting == 80
        ask.free.set()
        assert (await first).results == ["FIRST"]
        assert [(await other).results for other in others] == [[f"A{n}", f"B{n}"] for n in range(40)]

    asyncio.run(main())
    assert [len(texts) for texts in ask.asked] == [1, 80]
    assert batcher.waiting == 0


def test_only_what_asks_alike_is_answered_together(batcher: Batcher, ask: Ask) -> None:
    other = Ask()

    async def main() -> None:
        first = await held(batcher, ask)
        work = [going(batcher.run(which, [text])) for which, text in ((ask, "a"), (other, "b"), (ask, "c"))]
        await asyncio.sleep(0)
        ask.free.set()
        await asyncio.gather(first, *work)

    asyncio.run(main())
    assert (ask.asked, other.asked) == ([["first"], ["a", "c"]], [["b"]])


def test_a_small_request_does_not_wait_for_all_of_a_large_one(batcher: Batcher, ask: Ask) -> None:
    large = [str(n) for n in range(10 * MOST_TEXTS)]

    async def main() -> None:
        first = await held(batcher, ask)
        work = [going(batcher.run(ask, large)), going(batcher.run(ask, ["small"]))]
        await asyncio.sleep(0)
        ask.free.set()
        assert (await work[1]).results == ["SMALL"]
        assert (await work[0]).results == large
        await first

    asyncio.run(main())
    assert max(map(len, ask.asked)) == MOST_TEXTS
    assert "small" in ask.asked[2], "after one share of the large one"


def test_a_batch_is_bounded_in_characters(batcher: Batcher, ask: Ask) -> None:
    texts = ["x" * (MOST_CHARACTERS // 2)] * 5 + ["y" * 3 * MOST_CHARACTERS]
    assert asyncio.run(batcher.run(ask, texts)).results == [text.upper() for text in texts]
    assert [len(asked) for asked in ask.asked] == [2, 2, 2]


def test_a_request_that_is_cancelled_costs_nothing_further(batcher: Batcher, ask: Ask) -> None:
    async def main() -> None:
        first = await held(batcher, ask)
        waiting = going(batcher.run(ask, ["never"] * 30))
        await asyncio.sleep(0)
        first.cancel()
        waiting.cancel()
        await asyncio.gather(first, waiting, return_exceptions=True)
        assert batcher.waiting == 0
        ask.free.set()
        # Half done, it is not gone on with.
        ask.hold()
        half = going(batcher.run(ask, ["half"] * 3 * MOST_TEXTS))
        await ask.wait_until_asked()
        half.cancel()
        await asyncio.gather(half, return_exceptions=True)
        ask.free.set()
        assert (await batcher.run(ask, ["last"])).results == ["LAST"]

    asyncio.run(main())
    assert [(texts[0], len(texts)) for texts in ask.asked] == [
        ("first", 1),
        ("half", MOST_TEXTS),
        ("last", 1),
    ]


def test_more_than_may_wait_is_refused(ask: Ask) -> None:
    batcher = Batcher(queue=10)

    async def main() -> None:
        first = await held(batcher, ask)
        most = going(batcher.run(ask, ["a"] * 10))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await batcher.run(ask, ["b"])
        ask.free.set()
        await asyncio.gather(first, most)
        # Nobody waits: a request is taken whatever its size.
        assert len((await batcher.run(ask, ["c"] * 20)).results) == 20

    asyncio.run(main())
    batcher.close()
    assert ["b"] not in ask.asked


def test_a_request_that_fails_takes_no_other_with_it(batcher: Batcher, ask: Ask) -> None:
    async def main() -> list[Any]:
        first = await held(batcher, ask)
        work = [going(batcher.run(ask, [text])) for text in ("good", "bad", "fine")]
        await asyncio.sleep(0)
        ask.free.set()
        await first
        return await asyncio.gather(*work, return_exceptions=True)

    good, bad, fine = asyncio.run(main())
    assert (good.results, fine.results) == (["GOOD"], ["FINE"])
    assert isinstance(bad, ValueError)


def test_the_end_comes_after_what_waits(ask: Ask) -> None:
    batcher = Batcher(queue=10)

    async def main() -> list[Any]:
        first = await held(batcher, ask)
        work = going(batcher.run(ask, ["a", "b"]))
        await asyncio.sleep(0)
        closing = going(asyncio.to_thread(batcher.close))
        await asyncio.sleep(0)
        ask.free.set()
        return (await asyncio.gather(first, work, closing))[1].results  # type: ignore[no-any-return]

    assert asyncio.run(main()) == ["A", "B"]


def test_batches_are_told_and_nothing_asks_nothing(ask: Ask) -> None:
    told: list[int] = []
    batcher = Batcher(10, told.append)
    run: Callable[..., Any] = batcher.run
    assert asyncio.run(run(ask, [])).results == []
    assert asyncio.run(run(ask, ["a", "b", "c"])).seconds > 0
    batcher.close()
    assert (told, ask.asked) == ([3], [["a", "b", "c"]])
