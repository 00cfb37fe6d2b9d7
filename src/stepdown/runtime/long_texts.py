"""Long texts, for a network that learnt from short ones: what is asked, and how the answers become one.

docs/bundle.md specifies it; LOG.md has the measurements behind the two ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stepdown.tokens.sentences import sentences

Way = Literal["sentences", "whole-and-sentences"]
WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True)
class LongTexts:
    """How texts of more than `above` ids are read.

    Attributes:
        above: ids of the longest text that the network reads like any other; at most the bundle's `max_length`.
        read: "sentences", the mean of the logits of the text's sentences; "whole-and-sentences", the mean of
            that and of the whole text's logits.
    """

    above: int
    read: Way


def cut(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The sentences of all texts, one after the other, and how many each text has, int64 [n].

    A text without any (it is all markup) is a sentence itself.
    """
    found = [list(sentences(text)) or [text] for text in texts]
    return [sentence for own in found for sentence in own], np.array([len(own) for own in found], np.int64)


def means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean of each text's rows of `values` [sentences, labels]; `counts` [n], all above 0. Shape [n, labels]."""
    starts = np.concatenate([[0], np.cumsum(counts[:-1])])
    total = np.add.reduceat(values.astype(np.float64), starts, axis=0)
    found: np.ndarray = (total / counts[:, None]).astype(np.float32)
    return found
