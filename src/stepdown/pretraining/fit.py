"""The updates of a pretraining, one by one, each of which depends on nothing but its number and the weights before it.

Whoever draws the order of the sequences, the masks and the dropout of update k from (seed, k) alone can stop anywhere
and go on from the weights and the optimizer's state: the result is that of an undisturbed run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stepdown.pretraining.masking import Masking, hide
from stepdown.students.masked_lm import MaskedLanguageModel
from stepdown.tokens import Tokens
from stepdown.train import batches

# An update is worked through in passes of so many ids: the logits of a pass, one for each piece of the vocabulary and
# each masked piece, are what fills the memory (40 MB for 2,048 ids), and larger passes are slower on a processor.
_IDS_PER_PASS = {"cpu": 2048, "cuda": 65_536}
# Purposes of draws, so that one seed gives different ones.
_ORDER, _MASKS, _DROPOUT = 0, 1, 2


@dataclass(frozen=True)
class Schedule:
    """How the weights move.

    Attributes:
        updates: in all.
        batch_size: sequences of an update.
        learning_rate: peak of AdamW (Loshchilov and Hutter 2019).
        warmup: share of the updates over which the rate rises from 0; it falls to 0 over the others, both linearly.
        weight_decay: decoupled, on matrices only.
        seed: of everything that is drawn.
    """

    updates: int
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    seed: int

    def rate(self, done: int) -> float:
        """Learning rate of the update that follows `done` updates."""
        rising = max(1, int(self.updates * self.warmup))
        if done < rising:
            return self.learning_rate * (done + 1) / rising
        return self.learning_rate * (self.updates - done) / max(1, self.updates - rising)


@dataclass
class Learner:
    """What changes while a student is pretrained: its weights, the optimizer's state, the updates done."""

    network: MaskedLanguageModel
    optimizer: torch.optim.AdamW
    done: int = 0


@dataclass(frozen=True)
class Update:
    """One update is done: `done` of `total`, the mean loss of its masked pieces, the ids read in it."""

    done: int
    total: int
    loss: float
    ids: int


def learner(network: MaskedLanguageModel, schedule: Schedule) -> Learner:
    """A network that has not learnt anything yet, on the device where it is, with its optimizer.

    The optimizer is BERT's: AdamW with ε = 1e-6 and decay on matrices alone.
    """
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return Learner(network, torch.optim.AdamW(groups, lr=schedule.learning_rate, eps=1e-6, fused=True))


def per_epoch(sequences: int, batch_size: int) -> int:
    """Updates of one pass over the sequences."""
    return -(-sequences // batch_size)


def fit(learner: Learner, tokens: Tokens, masking: Masking, schedule: Schedule) -> Iterator[Update]:
    """Train a learner in place from where it is to the last update, yielding each.

    Whatever the caller does with the network between two updates, but for changing its weights, has no effect.
    """
    network, optimizer = learner.network, learner.optimizer
    device = next(network.parameters()).device
    for batch in _batches(tokens, schedule, learner.done):
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(learner.done)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else ()):
            torch.manual_seed(_number(schedule.seed, _DROPOUT, learner.done))
            draw = _chance(schedule.seed, _MASKS, learner.done)
            loss = _backward(network, hidden(tokens, batch, masking, draw))
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        learner.done += 1
        yield Update(learner.done, schedule.updates, loss, int(tokens.lengths[batch].sum()))


@dataclass(frozen=True)
class Hidden:
    """Sequences of which pieces are hidden, padded.

    Attributes:
        seen: int64 [batch, length], what the student reads.
        truth: int64 [batch, length], what stands there.
        chosen: bool [batch, length], which pieces are to be predicted.
        lengths: int64 [batch].
    """

    seen: np.ndarray
    truth: np.ndarray
    chosen: np.ndarray
    lengths: np.ndarray


def hidden(tokens: Tokens, rows: np.ndarray, masking: Masking, draw: np.random.Generator) -> Hidden:
    """Some sequences with pieces hidden."""
    truth, lengths = tokens.pad(rows, masking.pad_id)
    seen, chosen = hide(truth, masking, draw)
    return Hidden(seen, truth, chosen, lengths)


def predictions(network: MaskedLanguageModel, batch: Hidden) -> Iterator[tuple[np.ndarray, Tensor, Tensor]]:
    """What a network says of the hidden pieces of a batch, in passes that its device works through at once.

    Yields:
        the rows of a pass; logits [pieces, vocabulary] of its hidden pieces; their ids, int64 [pieces]. Both are on
        the network's device, row by row.
    """
    device = next(network.parameters()).device
    order = np.argsort(batch.lengths, kind="stable")
    count = -(-batch.seen.size // _IDS_PER_PASS[device.type])
    for rows in np.array_split(order, min(count, len(order))):
        width = int(batch.lengths[rows].max())
        seen, truth, chosen = (
            torch.from_numpy(part[rows, :width]).to(device)
            for part in (batch.seen, batch.truth, batch.chosen)
        )
        logits = network(seen, torch.from_numpy(batch.lengths[rows]).to(device), chosen)
        yield rows, logits, truth[chosen]


def _batches(tokens: Tokens, schedule: Schedule, done: int) -> Iterator[np.ndarray]:
    """Rows of each update after the first `done`, to the last one; an epoch has its own order."""
    each = per_epoch(len(tokens), schedule.batch_size)
    while done < schedule.updates:
        epoch, first = divmod(done, each)
        order = batches(tokens.lengths, schedule.batch_size, _chance(schedule.seed, _ORDER, epoch))
        for batch in islice(order, first, first + schedule.updates - done):
            done += 1
            yield batch


def _backward(network: MaskedLanguageModel, batch: Hidden) -> float:
    """Gradients of the mean loss over the hidden pieces of a batch, added up pass by pass; and that loss."""
    pieces, total = int(batch.chosen.sum()), 0.0
    for _, logits, truth in predictions(network, batch):
        loss = F.cross_entropy(logits, truth, reduction="sum") / pieces
        loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types for it
        total += float(loss.detach())
    return total


def _chance(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng((seed, purpose, number))


def _number(seed: int, purpose: int, number: int) -> int:
    """A seed for torch's own draws."""
    return int(np.random.SeedSequence((seed, purpose, number)).generate_state(1, np.uint64)[0] >> 1)
