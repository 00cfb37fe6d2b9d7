"""How long a pretraining will take, from a few timed updates."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice

from stepdown.pretraining import checkpoints
from stepdown.pretraining.fit import fit
from stepdown.pretraining.work import CHECKPOINTS, Context, finished

_TIMED = 4
# Two checkpoints, of weights and the optimizer's two moments, while one takes the place of the other.
_COPIES = 2 * 3
_BYTES = 4
# Asking costs a third of an update of as many ids: one pass forward in the place of one forward and two backward.
_ASKING = 1 / 3


@dataclass(frozen=True)
class Estimate:
    """What is to come.

    Attributes:
        student: what it is, in a few words for people.
        parameters: of the encoder, without pooler and head.
        done: updates of earlier sittings.
        updates: in all.
        updates_per_epoch: of one pass over the text.
        seconds_per_epoch: without measuring.
        seconds: to come, measuring included.
        bytes: on disk while it works.
    """

    student: str
    parameters: int
    done: int
    updates: int
    updates_per_epoch: int
    seconds_per_epoch: float
    seconds: float
    bytes: int

    def as_text(self) -> str:
        """For a person at a terminal."""
        passes = self.updates / self.updates_per_epoch
        done = f", {self.done:,} of them done" if self.done else ""
        return (
            f"{self.student}: {self.parameters:,} parameters; {self.updates:,} updates{done}, {passes:.1f} passes of "
            f"{self.updates_per_epoch:,}"
        )


def estimate(context: Context) -> Estimate:
    """Time a few updates of a student that is thrown away; nothing is written.

    Raises:
        StoreError: something is there and cannot be read.
    """
    student, schedule = context.learner(), context.schedule
    numbers = sum(parameter.numel() for parameter in student.network.parameters())
    # Read before the student is timed; a finished one has no checkpoint any more.
    found = checkpoints.last(context.out / CHECKPOINTS, context.key)
    done = schedule.updates if finished(context) else found[1]["done"] if found else 0
    steps = fit(student, context.train.tokens, context.masking, schedule)
    next(steps)  # the first one warms up
    started, ids = time.perf_counter(), 0
    for update in islice(steps, _TIMED):
        ids += update.ids
    # Where there is one update alone, the first one's time is not known and hardly matters.
    per_id = (time.perf_counter() - started) / ids if ids else 0.0
    epoch = per_id * float(context.train.tokens.offsets[-1])
    asking = per_id * _ASKING * float(context.held_out.tokens.offsets[-1])
    left = 1 - done / schedule.updates
    points = context.recipe.training.evaluations + 1
    return Estimate(
        student.network.describe(),
        student.network.size,
        done,
        schedule.updates,
        context.per_epoch,
        epoch,
        left * (epoch * schedule.updates / context.per_epoch + asking * points),
        _COPIES * _BYTES * numbers,
    )
