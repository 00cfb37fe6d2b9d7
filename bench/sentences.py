"""Distinct real sentences: those to be classified, and labelled ones to learn from and to be right about."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

FEWEST_WORDS, MOST_WORDS = 15, 30
_HELD_OUT = 1000


@dataclass(frozen=True)
class Labelled:
    """n sentences with their labels."""

    texts: list[str]
    labels: list[str]


def snippets() -> tuple[Labelled, Labelled]:
    """The film reviews of `demo:movie-snippets` that have a label: most to learn from, 1,000 to be right about."""
    from stepdown import assets

    lines = assets.data("demo:movie-snippets").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["label"] is not None]
    random.Random(0).shuffle(rows)
    pairs = [(row["text"], row["label"]) for row in rows]
    return _labelled(pairs[_HELD_OUT:]), _labelled(pairs[:_HELD_OUT])


def to_classify(file: Path | None) -> list[str]:
    """Distinct sentences of 15 to 30 words, in random order.

    Args:
        file: a text a line; None for those of `demo:movie-snippets`.
    """
    if file is None:
        train, held_out = snippets()
        texts = [*train.texts, *held_out.texts]
    else:
        texts = file.read_text(encoding="utf-8").splitlines()
    found = sorted({text for text in texts if FEWEST_WORDS <= len(text.split()) <= MOST_WORDS})
    random.Random(1).shuffle(found)
    return found


def _labelled(pairs: list[tuple[str, str]]) -> Labelled:
    return Labelled([text for text, _ in pairs], [label for _, label in pairs])
