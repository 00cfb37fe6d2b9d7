"""What smaller weights cost: the labels that change, and the accuracy on texts whose label is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# More than this is no rounding that a user would take without being asked.
MOST_FLIPS = 0.005
MOST_LOST = 0.003
# With fewer labelled texts, a difference of that size is one or two texts.
FEWEST_LABELLED = 2000


@dataclass(frozen=True)
class Loss:
    """Float32 weights against smaller ones on the same texts.

    Attributes:
        texts: compared.
        flips: texts that get another label.
        labelled: texts among them whose label is known.
        before, after: accuracy on those; None where there are none.
    """

    texts: int
    flips: int
    labelled: int
    before: float | None
    after: float | None

    @property
    def acceptable(self) -> bool:
        """At most 0.5% of labels change, and at most 0.3 points of accuracy are lost where 2,000 labels tell."""
        if self.flips > MOST_FLIPS * self.texts:
            return False
        if self.before is None or self.after is None or self.labelled < FEWEST_LABELLED:
            return True
        # Rounded, since 0.900 - 0.897 is a little more than 0.003 in binary.
        return round(self.before - self.after, 9) <= MOST_LOST

    def __str__(self) -> str:
        said = f"{self.flips:,} of {self.texts:,} texts get another label ({self.flips / max(1, self.texts):.2%})"
        if self.before is None or self.after is None:
            return said
        return f"{said}; accuracy on {self.labelled:,} labelled ones is {self.after:.2%}, {self.before:.2%} before"


def loss(before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> Loss:
    """Compare two models' logits [n, labels each]; `labels` int64 [n], −1 where it is not known."""
    first, second = before.argmax(1), after.argmax(1)
    known = labels >= 0
    right = [float((said == labels)[known].mean()) if known.any() else None for said in (first, second)]
    return Loss(len(labels), int((first != second).sum()), int(known.sum()), right[0], right[1])
