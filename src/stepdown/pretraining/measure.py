"""How well a student names pieces that are hidden from it, in texts that it has not learnt from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats

from stepdown.evaluate import LEVEL, Metric
from stepdown.pretraining.fit import hidden, predictions
from stepdown.pretraining.masking import Masking
from stepdown.pretraining.sequences import Sequences
from stepdown.students.masked_lm import MaskedLanguageModel

# Sequences whose pieces are hidden at once: what holds them in memory, and nothing more.
_BLOCK = 1024


@dataclass(frozen=True)
class HeldOut:
    """What was measured on held-out texts; `n` of both counts masked pieces.

    Attributes:
        loss: mean negative log-likelihood of a masked piece, in nats.
        accuracy: share of the masked pieces that are named right.
    """

    loss: Metric
    accuracy: Metric


def measure(network: MaskedLanguageModel, sequences: Sequences, masking: Masking, seed: int) -> HeldOut:
    """Ask a network, in evaluation mode, for pieces hidden as in training; the same ones each time for a seed."""
    network.eval()
    draw = np.random.default_rng(seed)
    # By text, for pieces of one text are alike: hidden pieces, their loss, how many are right.
    sums = np.zeros((3, int(sequences.text_of.max()) + 1))
    with torch.inference_mode():
        for start in range(0, len(sequences), _BLOCK):
            block = np.arange(start, min(start + _BLOCK, len(sequences)))
            batch = hidden(sequences.tokens, block, masking, draw)
            for rows, logits, truth in predictions(network, batch):
                loss = F.cross_entropy(logits, truth, reduction="none").double().cpu().numpy()
                right = (logits.argmax(1) == truth).double().cpu().numpy()
                of = np.repeat(sequences.text_of[block[rows]], batch.chosen[rows].sum(1))
                for row, values in enumerate((np.ones(len(of)), loss, right)):
                    sums[row] += np.bincount(of, values, minlength=sums.shape[1])
    pieces, losses, rights = sums[:, sums[0] > 0]
    accuracy = ratio(rights, pieces)
    return HeldOut(
        ratio(losses, pieces), replace(accuracy, low=max(0.0, accuracy.low), high=min(1.0, accuracy.high))
    )


def ratio(sums: np.ndarray, counts: np.ndarray) -> Metric:
    """The mean of values that come in clusters, with a normal interval over clusters.

    The variance is that of a ratio estimate (Cochran 1977, "Sampling Techniques", section 2.11): values of one cluster
    may depend on each other. Of a single cluster the interval is the value itself.

    Args:
        sums: of the values of each cluster, [clusters].
        counts: values of each cluster, [clusters], all above 0.
    """
    clusters, total = len(counts), counts.sum()
    mean = float(sums.sum() / total)
    spread = ((sums - mean * counts) ** 2).sum() * clusters / max(1, clusters - 1)
    half = float(stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(spread) / total)
    return Metric(mean, mean - half, mean + half, int(total))
