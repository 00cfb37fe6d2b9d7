"""How each kind of rung is trained when the recipe does not say: one table, as measurements change it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["compact", "huggingface", "teacher-layers"]
Loss = Literal["kl", "mse"]

TEACHER_LAYERS = re.compile(r"teacher:([1-9][0-9]*)")


@dataclass(frozen=True)
class Training:
    """What a rung trains with; `RungSettings` says what each value is."""

    loss: Loss
    epochs: int
    learning_rate: float
    batch_size: int
    weight_decay: float
    warmup: float
    ema: float
    accumulate: int = 1


DEFAULTS: Mapping[Kind, Training] = {
    "huggingface": Training("kl", 5, 1e-4, 32, weight_decay=0.01, warmup=0.1, ema=0.0),
    # Its layers are fine-tuned already: a gentler pass is enough.
    "teacher-layers": Training("kl", 3, 5e-5, 32, weight_decay=0.01, warmup=0.1, ema=0.0),
    "compact": Training("mse", 10, 4e-3, 128, weight_decay=0.01, warmup=0.05, ema=0.999),
}


@dataclass(frozen=True)
class RungSettings:
    """One rung with nothing left open.

    Attributes:
        model: as the recipe names it: `compact`, `teacher:N`, a hub id, an absolute folder or a built-in.
        kind: which builder makes it.
        layers: how many of the teacher's first layers it keeps; None unless `teacher-layers`.
        max_params: budget that the parameter count never exceeds; None unless `compact`.
        loss: distance to the teacher's soft labels.
        clip: for `mse`, centred logits are cut to ±clip.
        temperature: for `kl`, divides the logits of both sides.
        soft_weight: weight of the distance to the teacher's soft labels.
        hard_weight: weight of the cross-entropy with the data's own labels.
        class_weights: whether rare classes weigh more in that cross-entropy.
        epochs: passes over the transfer set.
        learning_rate: peak, after the warm-up.
        batch_size: texts per step and device.
        accumulate: batches per update of the weights.
        weight_decay: AdamW's, on matrices only.
        warmup: share of all updates over which the learning rate rises, 0 to 1.
        ema: decay of the running average of the weights that is kept; None keeps the last weights.
    """

    model: str
    kind: Kind
    layers: int | None
    max_params: int | None
    loss: Loss
    clip: float
    temperature: float
    soft_weight: float
    hard_weight: float
    class_weights: bool
    epochs: int
    learning_rate: float
    batch_size: int
    accumulate: int
    weight_decay: float
    warmup: float
    ema: float | None


def kind_of(model: str) -> Kind:
    """The kind of rung that a model's name stands for; a name without a meaning is Hugging Face's."""
    if model == "compact":
        return "compact"
    return "teacher-layers" if TEACHER_LAYERS.fullmatch(model) else "huggingface"


def layers_of(model: str) -> int | None:
    """N of `teacher:N`; None for any other model."""
    match = TEACHER_LAYERS.fullmatch(model)
    return int(match[1]) if match else None
