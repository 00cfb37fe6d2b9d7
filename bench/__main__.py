"""`python -m bench`: makes what is missing, measures, prints a table, writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from bench import measuring, models, sentences, table
from bench.peers import PEERS

_HERE = Path(__file__).parent


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--texts", type=Path, help="a text a line, in the place of the built-in film reviews")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; the first one warms up")
    parser.add_argument("--many", type=int, default=500, help="sentences classified together in a round")
    parser.add_argument("--few", type=int, default=100, help="sentences classified one by one in a round")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="peers to measure")
    parser.add_argument("--work", type=Path, default=_HERE / ".work", help="where models are kept")
    parser.add_argument("--out", type=Path, default=_HERE / "results.json")
    parser.add_argument("--cpu", type=int, help="the core to measure on; the last one if it is not given")
    given = parser.parse_args()

    os.environ["TQDM_DISABLE"] = "1"  # before any library that draws a bar is imported
    train, held_out = sentences.snippets()
    folders, failed = {}, {}
    for name in given.only:
        try:
            folders[name] = _ready(name, train, given.work)
        except (
            Exception
        ) as error:  # whatever is wrong with a peer is told and is no reason to leave out the others
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    needed = given.rounds * (given.many + given.few)
    texts = sentences.to_classify(given.texts)[:needed]
    if len(texts) < needed:
        print(f"{len(texts):,} sentences for {needed:,} asked for: fewer rounds.", file=sys.stderr)
    if hasattr(os, "sched_setaffinity"):  # after the models, which may use all cores
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[-1] if given.cpu is None else given.cpu})
    found, more = measuring.measure(folders, texts, held_out, many=given.many, few=given.few)
    failed |= more
    document = {
        "machine": {"processor": _processor(), "python": platform.python_version()},
        "sentences": {"together": given.many, "alone": given.few, "words": "15 to 30"},
        "measured": {name: asdict(one) for name, one in found.items()},
        "failed": failed,
    }
    given.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(table.markdown(found, failed))


def _ready(name: str, train: sentences.Labelled, work: Path) -> Path:
    """The folder with a peer's model, made if it is not there. Raises whatever goes wrong with it."""
    peer = PEERS[name]
    peer.version  # noqa: B018  # raises where it is not installed
    if peer.model is None:
        return work
    folder = work / peer.model
    if not folder.exists():
        print(f"making {peer.model} …", file=sys.stderr)
        beside = folder.with_name(f"{folder.name}.tmp")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        models.make(peer.model, train, beside)
        beside.rename(folder)
    return folder


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "?")


if __name__ == "__main__":
    main()
