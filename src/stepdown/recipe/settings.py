"""How each kind of rung is trained when the recipe does not say: one table, as measurements change it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from stepdown.tasks import TaskKind

Kind = Literal["compact", "bag", "huggingface", "teacher-layers"]
Family = Literal["compact", "bag"]
Loss = Literal["kl", "mse"]
Core = Literal["gru", "forward-gru", "conv"]

FAMILIES: tuple[Family, ...] = get_args(Family)
"""Kinds of rung that are built to a budget."""
CORES: tuple[Core, ...] = get_args(Core)
DEFAULT_CORE: Core = "gru"
LEAST_HIDDEN = 4
"""The smallest size of a core."""

PRETRAINED = "pretrained.json"
"""The file by which the folder of a pretrained compact student is known, and which says what it is."""

TEACHER_LAYERS = re.compile(r"teacher:([1-9][0-9]*)")


@dataclass(frozen=True)
class Training:
    """What a rung trains with; `RungSettings` says what each value is."""

    loss: Loss | None
    epochs: int | None
    learning_rate: float
    batch_size: int | None
    weight_decay: float
    warmup: float
    ema: float
    accumulate: int = 1
    word_dropout: float = 0.0
    embedding_rate: float | None = None
    hint_weight: float = 0.0


DEFAULTS: Mapping[Kind, Training] = {
    "huggingface": Training("kl", 5, 1e-4, 32, weight_decay=0.01, warmup=0.1, ema=0.0),
    # Its layers are fine-tuned already: a gentler pass is enough.
    "teacher-layers": Training("kl", 3, 5e-5, 32, weight_decay=0.01, warmup=0.1, ema=0.0),
    # Word dropout is worth more than any other setting (LOG.md): students this small still learn texts by heart.
    "compact": Training(None, None, 4e-3, None, weight_decay=0.01, warmup=0.05, ema=0.999, word_dropout=0.1),
    "bag": Training(None, None, 2e-2, None, weight_decay=0.01, warmup=0.05, ema=0.999),
}
# A convolution takes larger steps than a GRU (LOG.md).
_CONV_RATE = 8e-3


def training_for(kind: Kind, core: Core | None) -> Training:
    """How a rung of this kind is trained when the recipe does not say; `core` is None unless `compact`."""
    return replace(DEFAULTS[kind], learning_rate=_CONV_RATE) if core == "conv" else DEFAULTS[kind]


# Peak rate of the passes over the labels that follow distillation, against the rung's own. Not measured: what has been
# learnt is to be corrected, not replaced.
GOLD_RATE_SHARE = 0.1


@dataclass(frozen=True)
class RungSettings:
    """One rung with nothing left open.

    Attributes:
        model: as the recipe names it: `compact`, `bag`, `teacher:N`, a hub id, an absolute folder or a built-in; a
            folder is of kind `compact` if a student of that kind was pretrained there.
        kind: which builder makes it.
        layers: how many of the teacher's first layers it keeps; None unless `teacher-layers`.
        max_params: budget that the parameter count never exceeds; None unless `compact` or `bag`, built anew.
        max_bytes: budget that weights, float32, and tokenizer never exceed; `compact` and `bag` have one of the two.
        core: what reads the words in their order; None unless `compact`.
        hidden: its size, units of a GRU in each direction or channels of a convolution; None for one that suits the
            budget.
        max_length: longer texts are cut to so many tokens.
        loss: distance to the teacher's soft labels; None for `loss_for` the number of classes.
        clip: for `mse`, centred logits are cut to ±clip.
        temperature: for `kl`, divides the logits of both sides.
        soft_weight: weight of the distance to the teacher's soft labels.
        hard_weight: weight of the cross-entropy with the data's own labels.
        class_weights: whether rare classes weigh more in that cross-entropy.
        gold_epochs: passes over the labelled texts that follow distillation, by their own labels alone; a rung that
            learns from labels alone makes none.
        gold_learning_rate: peak of these passes.
        epochs: passes over the transfer set; None for `epochs_for` the texts that it learns from.
        learning_rate: peak, after the warm-up.
        batch_size: texts per step, over all devices; None for `batch_size_for` the texts that it learns from.
        accumulate: batches per update of the weights.
        weight_decay: AdamW's, on matrices only.
        warmup: share of all updates over which the learning rate rises, 0 to 1.
        ema: decay of the running average of the weights that is kept; None keeps the last weights.
        word_dropout: share of the words that are taken for unknown ones in training; 0 unless `compact` or `bag`.
        embedding_rate: what the embeddings of words learn at, over `learning_rate`; None for `embedding_rate_for` the
            kind, and of no matter unless `compact` or `bag`.
        hint_weight: weight of the squared error between principal components of the teacher's middle layer and what an
            extra linear head makes of the student's features; 0 unless `compact`.
    """

    model: str
    kind: Kind
    layers: int | None
    max_params: int | None
    max_bytes: int | None
    core: Core | None
    hidden: int | None
    max_length: int
    loss: Loss | None
    clip: float
    temperature: float
    soft_weight: float
    hard_weight: float
    class_weights: bool
    gold_epochs: int
    gold_learning_rate: float
    epochs: int | None
    learning_rate: float
    batch_size: int | None
    accumulate: int
    weight_decay: float
    warmup: float
    ema: float | None
    word_dropout: float
    embedding_rate: float | None
    hint_weight: float

    @property
    def is_pretrained(self) -> bool:
        """Whether it begins with a compact student that has read text already."""
        return self.kind == "compact" and self.model != "compact"


def loss_for(task: TaskKind, classes: int) -> Loss:
    """The distance that a student built to a budget learns best by.

    Of two classes a teacher's logits hold one number, the margin, and squared error is the natural distance. Of many,
    most logits tell of classes that are out of the question, and squared error spends itself on them: with 77 classes
    it gave 0.81 where KL gave 0.88 (LOG.md).
    """
    return "mse" if task == "regression" or (task == "single-label" and classes == 2) else "kl"


def batch_size_for(texts: int) -> int:
    """Texts per update of a student built to a budget: few enough for 64 updates a pass, between 16 and 384.

    The bounds are what measured well: 128 with 8,000 texts, 384 with 100,000 and more (LOG.md).
    """
    return min(384, max(16, texts // 64))


def embedding_rate_for(kind: Kind, texts: int, *, is_pair: bool) -> float:
    """What the embeddings of words learn at, over the learning rate of the rest.

    Where texts are few, a compact student learns them by heart in its embeddings first, and of the words that it never
    met it knows only what the teacher's say, near which they start: a tenth gave a correlation of 0.748 for 0.704 on
    pairs, three tenths two to four points on six kinds of question and no loss on film reviews, where a tenth cost two,
    nor on 77 intents (LOG.md).

    Args:
        kind: of rung.
        texts: of the transfer set, views and unlabelled ones counted.
        is_pair: they are pairs.
    """
    if kind != "compact":
        return 1.0
    return 0.1 if is_pair else 0.3 if texts < _MANY_TEXTS else 1.0


# From so many texts on embeddings learn as fast as the rest; less was measured with 72,000 at most.
_MANY_TEXTS = 150_000


def epochs_for(texts: int) -> int:
    """Passes of a student built to a budget over the texts that it learns from: 300,000 texts read, in 5 to 10 passes.

    Few texts are learnt by heart after ten; of many, more passes still help, at a price that the user should name.
    """
    return min(10, max(5, 300_000 // max(1, texts)))


def views_for(texts: int, words: float) -> int:
    """Views of each labelled text, where there is no other text for the teacher to label: 1.1 million words with them.

    That is what time goes by. They were worth two points on 14,000 comments of six emotions and one on 8,000 questions
    of 77 intents; of 4,300 questions of nine words, thirty were worth two points more than eight (LOG.md).

    Args:
        texts: that have a label.
        words: of a text, or of a pair, in the mean.
    """
    return max(0, min(30, round(1_100_000 / max(1.0, texts * words)) - 1))


def rung_length_for(words: int) -> int | None:
    """To how many tokens a student built to a budget cuts texts of which 95% have at most so many words.

    None where the teacher's 128 word pieces, some 100 words, are enough. A transformer pays for each of them; a student
    reads all that there is for little, up to 1,024 words.
    """
    return None if words <= 100 else min(1024, 1 << (words - 1).bit_length())


def fine_tuning_rate(parameters: int) -> float:
    """Peak learning rate for fine-tuning an encoder: the larger it is, the gentler.

    The range is Devlin et al.'s (2019, "BERT", appendix A.3: 2e-5 to 5e-5 for 110M to 340M); encoders of a few layers
    take more (Turc et al. 2019, "Well-Read Students", section 4: up to 3e-4).
    """
    return 1e-4 if parameters < 50_000_000 else 5e-5 if parameters < 200_000_000 else 2e-5


def fine_tuning_epochs(texts: int, batch_size: int, kind: TaskKind) -> int:
    """Passes over the labelled texts: enough for 1,200 updates, of several labels for 2,500, between 3 and 12.

    With few texts a fixed number of passes stops long before the head is trained; LOG.md has the case of 77 classes.
    Where each of many labels is rare, that takes longer still (28 emotions, LOG.md).
    """
    return min(12, max(3, round(_UPDATES[kind] / max(1, texts / batch_size))))


_UPDATES: Mapping[TaskKind, int] = {"single-label": 1200, "multi-label": 2500, "regression": 1200}


def is_pretrained(model: str) -> bool:
    """Whether it is the folder of a compact student that `stepdown pretrain` left."""
    # Unlike Path.is_file, this takes a name that no file can have for no file.
    return model not in FAMILIES and os.path.isfile(os.path.join(model, PRETRAINED))  # noqa: PTH113, PTH118


def core_of_pretrained(model: str) -> Core | None:
    """What its core is; None where the folder does not say, as whoever reads the model will tell."""
    try:
        about = json.loads(Path(model, PRETRAINED).read_text(encoding="utf-8"))
        return next((core for core in CORES if core == about["core"]), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def kind_of(model: str) -> Kind:
    """The kind of rung that a model's name stands for; a name without a meaning is Hugging Face's."""
    if model in FAMILIES:
        return model
    if is_pretrained(model):
        return "compact"
    return "teacher-layers" if TEACHER_LAYERS.fullmatch(model) else "huggingface"


def layers_of(model: str) -> int | None:
    """N of `teacher:N`; None for any other model."""
    match = TEACHER_LAYERS.fullmatch(model)
    return int(match[1]) if match else None
