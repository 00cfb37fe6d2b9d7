"""Damaged and hostile bundles are refused or answered, and nothing else happens; `make fuzz` reads ten thousand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import every_kind, fuzz, mutants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and watches are those of Linux")


def test_some_hundreds_of_mutants(tmp_path: Path) -> None:
    fuzz.bases(tmp_path, ["gru-pairs", "gru-int8", "gru-long-texts", "bag"])
    told = fuzz.run(seed=7, count=300, folder=tmp_path)
    assert told.failures == []
    assert told.refused > 200
    assert told.answered > 10


@pytest.mark.slow
def test_ten_thousand_mutants(tmp_path: Path) -> None:
    fuzz.bases(tmp_path, list(every_kind.KINDS))
    told = fuzz.run(seed=0, count=10_000, folder=tmp_path)
    assert told.failures == []
    assert told.answered > 300


# --- what is watched for would be seen --------------------------------------------------------------------------------

ILL = {
    "touches": "import pathlib; pathlib.Path('canary').read_bytes()",
    "a library touches": "import ctypes; ctypes.CDLL(None).fopen(b'canary', b'r')",
    "writes": "open('more', 'w')",
    "connects": "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
    "runs": "import os; os.system('true')",
    "raises": "1 / 0",
    "is large": "x = bytearray(500 << 20); x[::4096] = b'a' * len(x[::4096])",
    "is larger than allowed": "x = bytearray(4 << 30)",
    "dies": "import os; os.kill(os.getpid(), 11)",
    "hangs": "while True: pass",
}


@pytest.mark.parametrize("name", ILL)
def test_what_it_watches_for_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading process is made to do it when it reads the first mutant."""
    fuzz.bases(tmp_path, [])
    patch = f"""
import sys
sys.argv = ["fuzz", "--read", {str(tmp_path)!r}, "--seed", "0"]
from tests import fuzz
within, count = fuzz._answer, 0
def ill(path):
    global count
    count += 1
    if count > {2 * len(list(tmp_path.iterdir()))}:
        exec({ILL[name]!r})
    return within(path)
fuzz._answer = ill
fuzz.main()
"""
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 3.0 if name == "hangs" else fuzz.MOST_SECONDS)
    worker = fuzz._Worker(0, tmp_path)
    worker._words = [sys.executable, "-c", patch]
    try:
        answer = worker.ask(0)
    finally:
        worker.stop()
    assert answer["end"] == "failed", answer
    if name not in ("dies", "hangs"):
        assert answer["done"] == fuzz._mutant(0, 0, tmp_path)[0]


def test_mutants_are_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz.bases(tmp_path, [])
    made = []
    for now in (1e9, 2e9):  # the archives hold no time of the day
        monkeypatch.setattr("time.time", lambda now=now: now)
        made.append([fuzz._mutant(3, index, tmp_path) for index in range(40)])
    assert made[0] == made[1]
    assert len({done for done, _ in made[0]}) > 20
    for index, (_, one) in enumerate(made[0]):
        (tmp_path / f"at{index}").mkdir()
        assert mutants.written(one, tmp_path / f"at{index}").exists()
