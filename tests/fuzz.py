"""Thousands of damaged and hostile bundles: `make fuzz`, or `python -m tests.fuzz --seed 1 --count 10000`.

Each is read by a process of its own kind, which has little memory and time and is told of every file that is opened. A
bundle may be refused, with a StepdownError in one line, or answered, as the reference reader answers it. Anything else
is a failure: another exception, a crash, a hang, memory, a file touched, a connection, an answer that differs.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parent.parent
# What a bundle of some kilobytes may cost: memory beside that of the process, its address space, and seconds.
MOST_MEMORY = 400 * 2**20
MOST_ADDRESSES = 3 * 2**30
MOST_SECONDS = 20.0
# Short ones, which are compared; a network that was changed may answer longer ones by what is read beside them.
TEXTS = ["good !", "Not bad", "", "\x00\ud800"]
LONG = ["Not a bad one, is it? 电影 😂 [SEP]", "Good. Not bad at all! " * 40, "a" * 3000]
# The answers differ where whatever a text says is rounded another way: of numbers as large as these, by as much.
TOLERANCE = 1e-3


@dataclass
class Told:
    """What became of mutants.

    Attributes:
        refused, answered: how many.
        failures: what was done to a mutant, and what it did.
        slowest, largest: seconds, and bytes of memory, of one mutant.
        reasons: how often each kind of refusal was given.
    """

    refused: int = 0
    answered: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    slowest: float = 0.0
    largest: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.refused:,} refused, {self.answered:,} answered, {len(self.failures)} failures; "
            f"at most {self.slowest:.2f} s and {self.largest / 2**20:.0f} MB"
        )


def bases(folder: Path, names: list[str]) -> None:
    """Write the bundles that are changed: those of the shared vectors, and of these kinds."""
    from stepdown.runtime import bundle
    from tests import bundle_vectors, every_kind

    made = {name: every_kind.packed(name) for name in names}
    for name, one in (bundle_vectors.bundles() | made).items():
        bundle.write(folder / name, one.about, one.files)


def run(seed: int, count: int, folder: Path, start: int = 0, keep: Path | None = None) -> Told:
    """Read so many mutants of the bundles in a folder; what fails is left in the folder `keep`."""
    told = Told()
    worker = _Worker(seed, folder)
    try:
        for index in range(start, start + count):
            answer = worker.ask(index)
            _count(told, f"seed {seed}, mutant {index}", answer)
            if answer["end"] == "failed" and keep is not None:
                _keep(keep, seed, index, folder, answer)
    finally:
        worker.stop()
    return told


def _count(told: Told, which: str, answer: dict[str, Any]) -> None:
    told.slowest = max(told.slowest, answer["seconds"])
    told.largest = max(told.largest, answer["memory"])
    if answer["end"] == "refused":
        told.refused += 1
        told.reasons[answer["said"]] += 1
    elif answer["end"] == "answered":
        told.answered += 1
    else:
        told.failures.append((f"{which}, {answer['done']}", answer["said"]))


def _keep(folder: Path, seed: int, index: int, bases_: Path, answer: dict[str, Any]) -> None:
    from tests import mutants

    place = folder / f"{seed}-{index}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    mutants.written(_mutant(seed, index, bases_)[1], place)
    (place / "what").write_text(
        f"{answer['done']}\n{answer['said']}\n", encoding="utf-8", errors="backslashreplace"
    )


def _mutant(seed: int, index: int, folder: Path) -> tuple[str, Any]:
    from tests import mutants

    random = Random(f"{seed}-{index}")
    base = random.choice(sorted(path for path in folder.iterdir() if path.is_dir()))
    files = {path.name: path.read_bytes() for path in sorted(base.iterdir())}
    done, made = mutants.mutant(files, random)
    return f"{base.name}, {done}", made


# --- the process that reads -------------------------------------------------------------------------------------------


class _Worker:
    """Starts the reading process, and starts it again when it is gone."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._words = [sys.executable, "-m", "tests.fuzz", "--read", str(folder), "--seed", str(seed)]
        self._process: subprocess.Popen[str] | None = None

    def ask(self, index: int) -> dict[str, Any]:
        """What became of a mutant."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{index}\n")
        process.stdin.flush()
        if select.select([process.stdout], [], [], MOST_SECONDS)[0] and (line := process.stdout.readline()):
            return dict(json.loads(line))
        hung = process.poll() is None and not select.select([process.stdout], [], [], 0)[0]
        self.stop()
        said = (
            f"took more than {MOST_SECONDS:.0f} s" if hung else f"the process ended with {process.returncode}"
        )
        return {
            "end": "failed",
            "said": said,
            "done": "see the seed",
            "seconds": MOST_SECONDS * hung,
            "memory": 0,
        }

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"},
        )

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                stream.close()
        self._process = None


# Audit events that reading a bundle is no reason for: https://docs.python.org/3/library/audit_events.html
_BARRED = (
    "os",
    "shutil",
    "socket",
    "subprocess",
    "ctypes",
    "pickle",
    "exec",
    "tempfile",
    "marshal",
    "urllib",
)


class _Watch:
    """Hears of files that are opened, of programs and of connections, by Python or by libraries below it."""

    def __init__(self, folder: Path) -> None:
        self.mine = str(folder)
        self.heard: list[str] = []
        self.active = False
        sys.addaudithook(self._hear)
        # inotify(7): any access to what lies in the folder around the mutants.
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK)
        everything = 0x00000FFF
        if self._libc.inotify_add_watch(self._handle, str(folder.parent).encode(), everything) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path, _, flags = args
            # A handle was opened before; how many processors there are is asked for each time.
            inside = isinstance(path, int) or path.startswith((self.mine, "/sys/fs/cgroup/cpu.max"))
            if not inside or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.heard.append(f"open {path!r} {flags}")
        elif event.split(".")[0] in _BARRED and event not in ("os.listdir", "os.scandir"):
            self.heard.append(f"{event} {args!r}"[:200])

    def below(self) -> list[str]:
        """What was done around the mutants since it was asked last."""
        try:
            events = os.read(self._handle, 65536)
        except BlockingIOError:
            return []
        return [f"a library touched what lies beside: {events!r}"[:200]] if events else []


def _read(seed: int, folder: Path) -> None:
    """Read the mutants that are asked for on stdin, and tell on stdout what became of each."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    with tempfile.TemporaryDirectory() as around:
        from tests import mutants

        (Path(around) / mutants.CANARY).write_bytes(bytes(1 << 16))
        inner = Path(around) / "inner"
        inner.mkdir()
        os.chdir(around)
        for base in sorted(folder.iterdir()):  # so that everything is imported, and works
            (inner / "b.stepdown").write_bytes(
                mutants.packed({path.name: path.read_bytes() for path in base.iterdir()})
            )
            for path in (base, inner / "b.stepdown"):
                assert _answer(path)[0] == "answered", base
        (inner / "b.stepdown").unlink()
        held = _status("VmSize")
        resource.setrlimit(resource.RLIMIT_AS, (held + MOST_ADDRESSES, held + MOST_ADDRESSES))
        watch = _Watch(inner)
        for line in sys.stdin:
            print(json.dumps(_one(seed, int(line), folder, inner, watch)), file=out, flush=True)


def _one(seed: int, index: int, folder: Path, inner: Path, watch: _Watch) -> dict[str, Any]:
    from tests import mutants

    done, made = _mutant(seed, index, folder)
    place = inner / str(index)
    place.mkdir()
    path = mutants.written(made, place)
    del made
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _status("VmRSS"), time.perf_counter()
    watch.below()
    watch.heard.clear()
    watch.active = True
    try:
        end, said = _answer(path)
    except BaseException as error:
        end, said = "failed", f"{type(error).__name__}: {str(error)[:300]}"
    watch.active = False
    seconds, memory = time.perf_counter() - start, _status("VmHWM") - before
    heard = watch.heard + watch.below()
    if heard:
        end, said = "failed", heard[0]
    elif end != "failed" and memory > MOST_MEMORY:
        end, said = "failed", f"needed {memory / 2**20:.0f} MB"
    shutil.rmtree(place)
    return {"end": end, "said": said, "done": done, "seconds": seconds, "memory": memory}


def _answer(path: Path) -> tuple[str, str]:
    """How a bundle ends: refused and why, answered, or failed and how."""
    import numpy as np

    from stepdown.errors import StepdownError
    from stepdown.runtime import Classifier

    try:
        ours = Classifier.load(path)
        texts: list[Any] = [(one, TEXTS[0]) for one in TEXTS] if ours.is_pair else list(TEXTS)
        longer: list[Any] = [(one, LONG[0]) for one in LONG] if ours.is_pair else list(LONG)
        said: list[Any] = list(ours.predict(texts + longer))
        alone = np.concatenate([ours.logits([text]) for text in texts])
        _check_answers(ours, said, ours.logits(texts + longer))
    except StepdownError as error:
        told = str(error)
        if "\n" in told or len(told) > 2000:
            return "failed", f"an error of {len(told)} characters: {told[:200]!r}"
        if any(word in told for word in ("bad_alloc", "allocate memory", "MemoryError", "std::")):
            return "failed", f"memory: {told[-300:]}"
        return "refused", re.sub("[^a-z ]+", "_", told.split(": ", 1)[-1].replace(str(path), ""))[:70]
    return _compared(path, ours, texts, alone)


def _check_answers(ours: Any, said: list[Any], logits: Any) -> None:
    import numpy as np

    assert logits.dtype == np.float32
    assert logits.shape == (len(said), len(ours.label_names))
    assert np.isfinite(logits).all()
    if ours.task == "single-label":
        assert set(said) <= set(ours.label_names)
        assert np.allclose(ours.probabilities(logits).sum(1), 1, atol=1e-5)
    elif ours.task == "multi-label":
        assert all(set(one) <= set(ours.label_names) for one in said)
    else:
        assert all(isinstance(one, float) for one in said)


def _compared(path: Path, ours: Any, texts: list[Any], logits: Any) -> tuple[str, str]:
    """Whether the reference reader, which knows no tokenizers of the library, says the same."""
    import numpy as np

    from tests.reference import reader

    if ours.about.tokenizer["kind"] == "huggingface":
        return "answered", ""
    try:
        theirs = reader.Classifier(path)
        found = np.array([theirs.logits(text) for text in texts])
    except Exception as error:
        return "failed", f"the reference reader refuses it: {type(error).__name__}: {str(error)[:200]}"
    off = np.abs(found - logits).max()
    if off > TOLERANCE * max(1.0, np.abs(found).max()):
        return "failed", f"the reference reader is off by {off}"
    return "answered", ""


def _status(name: str) -> int:
    """Bytes, of /proc/self/status."""
    with Path("/proc/self/status").open(encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


def main() -> None:
    """Read ten thousand mutants, or as many as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0, help="the first mutant")
    parser.add_argument(
        "--reasons", type=int, default=20, help="how many of the reasons for refusals to tell"
    )
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where failures are left")
    parser.add_argument("--bases", type=Path, help="a folder of bundles to change, made if it is not there")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read is not None:
        _read(asked.seed, asked.read)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.bases or Path(scratch) / "bases"
        if not folder.exists():
            from tests import every_kind

            bases(folder, list(every_kind.KINDS))
        told = run(asked.seed, asked.count, folder, asked.start, asked.keep)
    for which, said in told.failures:
        print(f"{which}: {said}")
    for said, count in told.reasons.most_common(asked.reasons):
        print(f"{count:6,}  {said}")
    print(told)
    sys.exit(bool(told.failures))


if __name__ == "__main__":
    main()
