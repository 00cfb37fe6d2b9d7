"""Asks all peers in turn, each round with sentences that none has seen: what slows the machine slows them alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import PEERS
from bench.sentences import Labelled

_STARTS = 5
# One thread each, as all of them run on one core.
_SINGLE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


@dataclass
class Measured:
    """What was measured of one peer; times in seconds, in the order of the rounds.

    Attributes:
        version: of its package.
        parameters: of its model.
        per_text: of a sentence among many, a round each; the first round warms up and is left out.
        one_text: of a sentence by itself, the median of each round.
        start: from the start of the process to the answer.
        memory: most bytes of the process.
        right: share of held-out sentences with the right label; None where the model has not learnt them.
    """

    version: str
    parameters: int
    per_text: list[float] = field(default_factory=list)
    one_text: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    memory: int = 0
    right: float | None = None


class Worker:
    """A peer in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        """Start it and wait until its model is there. Raises RuntimeError where it cannot be loaded."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        self.parameters: int = self._read()["parameters"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Its answer to a request of `worker`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        """Let it go."""
        self._process.communicate(timeout=60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with code {self._process.wait()}; its last words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment() -> dict[str, str]:
    """Of every process that is measured: one thread, and compiled modules, as an installed package has them."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **_SINGLE}


def measure(
    folders: dict[str, Path], sentences: Sequence[str], held_out: Labelled, *, many: int, few: int
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure all peers.

    Args:
        folders: with the model of each peer.
        sentences: distinct ones; they decide how many rounds there are.
        held_out: to be right about.
        many: sentences that are classified together in a round.
        few: sentences that are classified one by one in a round.

    Returns:
        what was measured, and why the others were not, by name.
    """
    found: dict[str, Measured] = {}
    failed: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    for name, folder in folders.items():
        try:
            workers[name] = Worker(name, folder)
        except RuntimeError as error:
            failed[name] = str(error)
            continue
        found[name] = Measured(PEERS[name].version, workers[name].parameters)
    rounds = [sentences[at : at + many + few] for at in range(0, len(sentences) - many - few + 1, many + few)]
    for number, texts in enumerate(rounds):
        for name, worker in workers.items():
            together = worker.ask(texts=texts[:many], each=False)["seconds"] / many
            alone = worker.ask(texts=texts[many:], each=True)["seconds"]
            if number:
                found[name].per_text.append(together)
                found[name].one_text.append(sorted(alone)[len(alone) // 2])
        print(f"round {number + 1} of {len(rounds)}", file=sys.stderr)
    for name, worker in workers.items():
        found[name].memory = worker.ask()["memory"]
        if PEERS[name].learnt:
            said = worker.ask(texts=held_out.texts, each=False)["labels"]
            right = [label == truth for label, truth in zip(said, held_out.labels, strict=True)]
            found[name].right = sum(right) / len(right)
        worker.end()
    for _ in range(_STARTS):
        for name in found:
            found[name].start.append(_start(name, folders[name], sentences[0]))
    return found, failed


def _start(name: str, folder: Path, text: str) -> float:
    command = [sys.executable, "-m", "bench.worker", name, str(folder), text]
    if name == "stepdown":  # as its users start it
        command = [str(Path(sys.executable).with_name("stepdown")), "predict", "sentiment", text]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment())
    return time.perf_counter() - started
