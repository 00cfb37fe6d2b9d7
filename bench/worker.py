"""One peer in a process of its own: `python -m bench.worker PEER FOLDER [TEXT]`.

With a text it prints the label, which is what a start is measured by. Without, it reads requests from stdin, a JSON
object a line, and answers each with one: {"texts": […], "each": false} is answered with the seconds that all texts
took together, or with "each" those of every text by itself, and with the labels; {} with the most memory that it took.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.peers import PEERS, Classify


def main() -> None:
    """Load the peer and serve."""
    # Answers go where only they go, whatever a library prints.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.disable(logging.WARNING)
    name, folder, *texts = sys.argv[1:]
    classify, parameters = PEERS[name].load(Path(folder))
    if texts:
        print(classify(texts)[0], file=answers, flush=True)
        return
    print(json.dumps({"parameters": parameters}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(classify, json.loads(line))), file=answers, flush=True)


def _answer(classify: Classify, request: dict[str, Any]) -> dict[str, Any]:
    texts = request.get("texts")
    if texts is None:
        return {"memory": _most_memory()}
    if request["each"]:
        seconds = []
        for text in texts:
            started = time.perf_counter()
            classify([text])
            seconds.append(time.perf_counter() - started)
        return {"seconds": seconds}
    started = time.perf_counter()
    labels = classify(texts)
    spent = time.perf_counter() - started
    return {"seconds": spent, "labels": [str(label) for label in labels]}


def _most_memory() -> int:
    """Most bytes that this process had in memory."""
    # Not getrusage: on Linux that begins with what the process had that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


if __name__ == "__main__":
    main()
