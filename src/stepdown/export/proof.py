"""The proof that a bundle says what the trained model says: on real texts, and on those that no one trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np

from stepdown import runtime, tasks
from stepdown.errors import CheckError
from stepdown.runtime import inputs
from stepdown.students.model import TextModel, logits

# Largest difference between a trained model's and its bundle's probability of any label, and between a bundle's answers
# to a text alone and among others. All compute in float32, in another order of operations; measured differences are
# below 1e-5 (LOG.md). Of a predicted number: in standard deviations.
TOLERANCE = 1e-3
# What rounding alone may do to a number, as a share of the largest of them: some steps of float32.
_ROUNDING = 1e-6
# Real texts that are compared: where the graph is wrong, a few show it. Fewer are read alone, which takes longer.
_COMPARED, _ALONE = 2000, 20
_BYTES = Random(0).randbytes(200)
# Texts that no one trained on but someone will send.
ODD_TEXTS = (
    "",
    " \t\n",
    "!!!",
    "?" * 3000,
    "🙂",
    "👩🏽‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 ❤️ 🫠",
    "电影很好看",
    "この映画はとても面白い。",
    "不" * 3000,
    "فيلم رائع",
    "\u202eשָׁלוֹם עוֹלָם\u202c and back",
    "ᚠᛇᚻ 𐍈 ࿈ \U000e0041 \ue000",
    "a" * 5000,
    "word " * 2000,
    "\x00\x1b[31m\ufffd\ufeff\u200b",
    "é É e\u0301 ﬁ Ⅷ ß İ ς",
    "[CLS] [SEP] [MASK] </s> <unk>",
    "<br />&amp; http://example.org/?q=1#x @someone #tag 12,345.67 %",
    _BYTES.decode("latin-1"),
    _BYTES.decode("utf-8", "replace"),
    _BYTES.decode("utf-8", "surrogateescape"),
    "\ud800 half of a pair \udfff",
)


def odd_texts(is_pair: bool) -> Sequence[str]:
    """Odd texts, or pairs of them, as models read them."""
    if not is_pair:
        return [tasks.single(text) for text in ODD_TEXTS]
    alone = [pair for odd in ODD_TEXTS for pair in ((odd, ""), ("", odd))]
    return [tasks.joined(*pair) for pair in [*alone, *pairwise(ODD_TEXTS)]]


def compare(model: TextModel, packed: runtime.Classifier, real: Sequence[str]) -> None:
    """Compare a bundle with what it is made from.

    Labels are then the same, but where two are as probable as each other within the tolerance.

    Args:
        model: trained.
        packed: the bundle, without a rule for long texts.
        real: texts of the task, pairs as `tasks.joined` makes them.

    Raises:
        CheckError: a probability of any text, or a number by the spread of numbers, is another; or what is said of a
            text goes by those that are read with it.
    """
    odd = odd_texts(packed.is_pair)
    texts = [*odd, *real[:_COMPARED]]
    expected = logits(model, model.encode(texts))
    found = _said(packed, texts)
    few = texts[: len(odd) + _ALONE]
    alone = np.concatenate([_said(packed, [text]) for text in few])
    if model.task == "regression":
        what = "a value"
        tolerance = float(TOLERANCE * expected.std(dtype=np.float64) + _ROUNDING * np.abs(expected).max())
    else:
        what, tolerance = "a probability", TOLERANCE
        expected, found, alone = map(packed.probabilities, (expected, found, alone))
    _check("does not say what the trained model says", expected, found, texts, what, tolerance)
    _check(
        "says of a text alone and among others not the same", alone, found[: len(few)], few, what, tolerance
    )


def _said(packed: runtime.Classifier, texts: Sequence[str]) -> np.ndarray:
    return packed.logits(inputs.as_given(texts, is_pair=packed.is_pair))


def _check(
    fault: str, one: np.ndarray, other: np.ndarray, texts: Sequence[str], what: str, tolerance: float
) -> None:
    worst = np.abs(one - other).max(1)
    text = int(worst.argmax())
    if worst[text] > tolerance:
        raise CheckError(
            f"The bundle {fault}: on {int((worst > tolerance).sum())} of {len(texts)} texts {what} is off by more than "
            f"{tolerance:.3g}, by {worst[text]:.4g} on {texts[text][:60]!r}. Nothing was written; please report this "
            "as a bug."
        )
