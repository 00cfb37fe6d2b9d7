"""Hints: what a middle layer of a teacher makes of whole texts, reduced to a few numbers that a student can regress.

Romero et al. (2015), "FitNets: Hints for Thin Deep Nets", section 2.2, have a student's middle layer predict a
teacher's through an extra regressor. Here the hint is the mean state over a text's tokens in its principal components,
since a small student can follow a few directions and not hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stepdown.students import transformer
from stepdown.students.model import TextModel, inside, logits
from stepdown.tokens import Tokens

# Most components that a student is asked for; not tuned.
_MOST = 64


def logits_and_states(
    teacher: TextModel, tokens: Tokens, *, precision: torch.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """What a teacher says of texts, and the mean of its middle layer's states over each, in one pass.

    Args:
        teacher: a Hugging Face classifier.
        tokens: texts as `teacher.encode` gives them, n of them.
        precision: as for `logits`, which says the same.

    Returns:
        Logits, float32 [n, classes], and states, float16 [n, hidden].
    """
    rows: list[np.ndarray] = []
    means: list[np.ndarray] = []
    with transformer.middle_states(teacher) as seen:

        def look(batch: np.ndarray, lengths: Tensor) -> None:
            states = seen.pop()
            own = inside(lengths, states.shape[1])
            mean = (states.float() * own.unsqueeze(-1)).sum(1) / lengths[:, None]
            rows.append(batch)
            means.append(mean.half().cpu().numpy())

        said = logits(teacher, tokens, precision=precision, look=look)
    return said, np.concatenate(means)[np.argsort(np.concatenate(rows))]


@dataclass(frozen=True)
class Reduction:
    """From states to hints: principal components, scaled so that a hint's mean square is 1.

    Attributes:
        mean: float64 [hidden].
        directions: float64 [hidden, components].
    """

    mean: np.ndarray
    directions: np.ndarray

    @property
    def size(self) -> int:
        """Components of a hint."""
        return int(self.directions.shape[1])

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Hints, float16 [n, components], of states [n, hidden]."""
        hints: np.ndarray = ((states - self.mean) @ self.directions).astype(np.float16)
        return hints


def reduction(states: np.ndarray, most: int = _MOST) -> Reduction:
    """The reduction to the principal components of states [n, hidden], at most `most` of them."""
    states = states.astype(np.float64)
    mean = states.mean(0)
    variances, directions = np.linalg.eigh(np.cov(states.T, bias=True))
    count = min(most, len(variances))
    directions = directions[:, ::-1][:, :count]
    extreme = directions[np.abs(directions).argmax(0), np.arange(count)]
    scale = np.sqrt(max(float(variances[::-1][:count].mean()), 1e-12))
    return Reduction(mean, directions * np.where(extreme < 0, -1.0, 1.0) / scale)


class Hinted(nn.Module):
    """A network, and beside it a linear head for hints on the features that its last layer, `output`, reads.

    The network is not changed by it: its weights, its names and what it saves are its own.
    """

    def __init__(self, network: nn.Module, size: int, seed: int) -> None:
        super().__init__()
        self.network = network
        output = network.get_submodule("output")
        assert isinstance(output, nn.Linear)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.head = nn.Linear(output.in_features, size)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [batch, classes] and guesses [batch, components]."""
        seen: list[Tensor] = []
        hook = self.network.get_submodule("output").register_forward_pre_hook(
            lambda module, given: seen.append(given[0])
        )
        try:
            said: Tensor = self.network(ids, lengths)
        finally:
            hook.remove()
        guess: Tensor = self.head(seen[0])
        return said, guess
