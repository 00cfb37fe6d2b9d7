"""What a pretraining has to tell, while it works and when it is done: `pretraining.json`, and the curve in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stepdown.pretraining.fit import Update
from stepdown.pretraining.measure import HeldOut


@dataclass(frozen=True)
class Point:
    """A point of the loss curve.

    Attributes:
        update: updates done.
        total: updates in all.
        epoch: passes over the text done, a fraction.
        learning_rate: of the update before; 0 before the first one.
        train_loss: mean loss of the updates since the point before; None before the first update.
        held_out: loss and accuracy on held-out texts.
        seconds: spent so far, over all sittings.
    """

    update: int
    total: int
    epoch: float
    learning_rate: float
    train_loss: float | None
    held_out: HeldOut
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As `pretraining.json` has it."""
        told = asdict(self)
        measured = told.pop("held_out")
        del told["total"]
        return {**told, "held_out_loss": measured["loss"], "held_out_accuracy": measured["accuracy"]}


@dataclass
class Record:
    """The curve so far, and what has happened since its last point; it comes back with a checkpoint.

    Attributes:
        points: as `Point.as_dict` gives them.
        losses: sum of the losses of the updates since the last point.
        updates: how many these are.
        seconds: spent so far, over all sittings that left a checkpoint.
    """

    points: list[dict[str, Any]] = field(default_factory=list)
    losses: float = 0.0
    updates: int = 0
    seconds: float = 0.0

    def add(self, update: Update) -> None:
        """Take note of an update."""
        self.losses += update.loss
        self.updates += 1

    def close(self, point: Point) -> None:
        """Take note of a point."""
        self.points.append(point.as_dict())
        self.losses, self.updates = 0.0, 0

    @property
    def train_loss(self) -> float | None:
        """Mean loss of the updates since the last point; None where there is none."""
        return self.losses / self.updates if self.updates else None


def summary(told: dict[str, Any]) -> str:
    """A finished pretraining in words, for a person at a terminal.

    Args:
        told: the content of `pretraining.json`.
    """
    student, last = told["student"], told["curve"][-1]
    loss, accuracy = last["held_out_loss"], last["held_out_accuracy"]
    lines = [
        f"{student['model']}: {student['parameters']:,} parameters, pretrained on {told['text']['train']:,} texts in "
        f"{told['updates']:,} updates ({last['epoch']:.1f} passes).",
        f"Of {accuracy['n']:,} hidden pieces in {told['text']['held_out']:,} held-out texts it names "
        f"{accuracy['value']:.1%} ({accuracy['low']:.1%} to {accuracy['high']:.1%}); loss {loss['value']:.3f} "
        f"({loss['low']:.3f} to {loss['high']:.3f}), {told['curve'][0]['held_out_loss']['value']:.3f} at the start.",
        *told["notes"],
        f'As a rung: model = "{told["model"]}"',
    ]
    return "\n".join(lines)


def notes(points: list[dict[str, Any]]) -> list[str]:
    """What should make a reader of a curve careful."""
    best, last = min(points, key=lambda point: point["held_out_loss"]["value"]), points[-1]
    if last["held_out_loss"]["value"] <= best["held_out_loss"]["high"]:
        return []
    return [
        f"Mind: the held-out loss was lowest after {best['update']:,} updates "
        f"({best['held_out_loss']['value']:.3f}) and has risen since: it learns the text by heart. Fewer passes, "
        "more text, or training.dropout help; the weights that were kept are the last ones."
    ]
