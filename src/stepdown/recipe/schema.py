"""The recipe's schema: every key with its type, range and default.

Each field's description completes the sentence "expected …": it is what a user reads who got the key wrong.
What no single key can say (two keys that exclude each other, say) is in `rules`. Instances are frozen. Make one with
`load` or `parse`, which check both.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from stepdown.recipe import fields
from stepdown.recipe.fields import Spec as _Spec
from stepdown.recipe.fields import Word, Words, listed
from stepdown.recipe.fields import fraction as _fraction
from stepdown.recipe.fields import learning_rate as _learning_rate
from stepdown.recipe.fields import share as _share
from stepdown.recipe.fields import switch as _switch
from stepdown.recipe.fields import text as _text
from stepdown.recipe.fields import weight as _weight
from stepdown.recipe.fields import whole as _whole
from stepdown.recipe.fields import words as _words
from stepdown.recipe.settings import (
    DEFAULT_CORE,
    DEFAULTS,
    GOLD_RATE_SHARE,
    LEAST_HIDDEN,
    Core,
    Loss,
    RungSettings,
    core_of_pretrained,
    kind_of,
    layers_of,
    training_for,
)
from stepdown.recipe.teachers import Scores
from stepdown.tasks import TaskKind

Arm = Literal["direct", "one-hop", "chain", "dense"]

ARMS: tuple[Arm, ...] = get_args(Arm)
LOSSES: tuple[Loss, ...] = get_args(Loss)
SCORES: tuple[Scores, ...] = get_args(Scores)

# A budget below this holds no vocabulary worth the name beside the smallest network.
LEAST_PARAMS = 5_000
# Such a student as float32, with its words.
LEAST_BYTES = 50_000


def _temperature(default: Any) -> Any:
    says = "a number above 0: 1.0 takes the teacher's probabilities as they are, 2.0 to 4.0 softens them"
    return Field(default, gt=0, allow_inf_nan=False, description=says)


def _clip(default: Any) -> Any:
    says = "a number above 0: logits are cut to ± this, 6.0 cuts few"
    return Field(default, gt=0, allow_inf_nan=False, description=says)


def _loss(default: Any) -> Any:
    return Field(
        default,
        description='"kl" or "mse", or leave it out: the kind of rung and the number of classes choose',
    )


def _gold_learning_rate() -> Any:
    says = "a number above 0, at most 1, or leave it out for a tenth of learning_rate"
    return Field(None, gt=0, le=1, allow_inf_nan=False, description=says)


class DataSpec(_Spec):
    """`[data]`: where the labelled texts are, and how they are cut."""

    source: str | None = _text(
        None, "a hub id[:config], a folder, a .csv, .tsv, .jsonl or .parquet file, or demo:…"
    )
    train: str | None = _text(None, "a .csv, .tsv, .jsonl or .parquet file")
    validation: str | None = _text(None, "a .csv, .tsv, .jsonl or .parquet file")
    test: str | None = _text(None, "a .csv, .tsv, .jsonl or .parquet file")
    text: Words = _words(..., "the name of the column that holds the text, or of two that make a pair")
    label: Words | None = Field(
        default=None,
        description="the name of the column that holds the label, or of several of 0 and 1, a label each; or [] where "
        "there are no labels",
    )
    task: TaskKind | None = Field(
        default=None,
        description='"single-label", "multi-label" or "regression", or leave it out: the labels tell',
    )
    label_names: Annotated[tuple[Word, ...], BeforeValidator(listed)] | None = Field(
        default=None,
        min_length=2,
        description="a list of at least two names, in the order of the labels' numbers",
    )
    label_separator: str | None = _text(None, "the text between two labels of one cell")
    max_length: int = _whole(128, 4, ": longer texts are cut to so many tokens")
    max_rows: int | None = _whole(None, 20, ", or leave it out for all")
    selection_fraction: float = _fraction(0.1)
    report_fraction: float = _fraction(0.1)


class UnlabeledSpec(_Spec):
    """Texts without labels, and how they are taken."""

    unlabeled: Words = Field(
        default=(), description="a hub id, a folder or a file of texts, or a list of them"
    )
    text: Words | None = _words(
        None, "the name of the column that holds the unlabelled text, or of two that make a pair"
    )
    split_sentences: bool = _switch(False)
    max_texts: int | None = _whole(None, 1, ", or leave it out for all")


class TransferSpec(UnlabeledSpec):
    """`[transfer]`: more texts for the teacher to label."""

    views: int = _whole(0, 0)


class TeacherSpec(_Spec):
    """`[teacher]`: the model at the top, and how it is fine-tuned when it has no head for the task.

    Of several models the teacher is the mean. Each is fine-tuned, matched with the data's labels and checked by
    itself; what needs one model (`teacher:N`, the initial embeddings of `compact`) takes the first.
    """

    model: Words = _words(
        ..., 'a hub id, a folder or demo:…, or a list of them for their mean, or "labels:column,column"'
    )
    scores: Scores | None = Field(
        default=None,
        description='"probabilities" or "logits", or leave it out: the values of the columns tell',
    )
    epochs: int | None = _whole(None, 1)
    learning_rate: float | None = _learning_rate(None)
    batch_size: int = _whole(32, 1)
    label_map: dict[str, Word] | None = Field(
        default=None,
        min_length=1,
        description="a table from the teacher's label names to the data's, { LABEL_0 = \"negative\" }",
    )


class DistillSpec(_Spec):
    """`[distill]`: what every rung learns from its teacher, unless the rung says otherwise."""

    temperature: float = _temperature(1.0)
    soft_weight: float = _weight(1.0)
    hard_weight: float = _weight(0.0)
    loss: Loss | None = _loss(None)
    clip: float = _clip(6.0)
    class_weights: bool = _switch(False)
    gold_epochs: int = _whole(0, 0)
    gold_learning_rate: float | None = _gold_learning_rate()


class RungSpec(_Spec):
    """One of `[[rungs]]`: a model below the teacher. None leaves it to `[distill]` or to the kind of rung."""

    model: str = _text(..., 'a hub id, a folder, demo:…, "compact" or "bag" with a budget, or "teacher:N"')
    max_params: int | None = _whole(None, LEAST_PARAMS, ": fewer parameters hold no classifier; try 250_000")
    max_bytes: int | None = _whole(None, LEAST_BYTES, ": fewer bytes hold no classifier; try 1_000_000")
    core: Core | None = Field(default=None, description='"gru", "forward-gru" or "conv"')
    hidden: int | None = _whole(None, LEAST_HIDDEN, ", or leave it out for one that suits the budget")
    max_length: int | None = _whole(None, 4, ", or leave it out for data.max_length")
    epochs: int | None = _whole(None, 1)
    learning_rate: float | None = _learning_rate(None)
    batch_size: int | None = _whole(None, 1)
    accumulate: int | None = _whole(None, 1)
    weight_decay: float | None = _weight(None)
    warmup: float | None = _share(None)
    ema: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="a number from 0 (off) to below 1, such as 0.999",
    )
    word_dropout: float | None = _share(None)
    embedding_rate: float | None = _weight(None)
    hint_weight: float | None = _weight(None)
    temperature: float | None = _temperature(None)
    soft_weight: float | None = _weight(None)
    hard_weight: float | None = _weight(None)
    loss: Loss | None = _loss(None)
    clip: float | None = _clip(None)
    class_weights: bool | None = _switch(None)
    gold_epochs: int | None = _whole(None, 0)
    gold_learning_rate: float | None = _gold_learning_rate()


class CompareSpec(_Spec):
    """`[compare]`: which ways to train the last rung are compared, over how many seeds."""

    arms: Annotated[tuple[Arm, ...], BeforeValidator(listed)] = Field(
        default=ARMS, min_length=1, description=f"a list of {', '.join(ARMS)}"
    )
    seeds: int = _whole(3, 1, "; fewer than 3 never show a difference")


class SourceSpec(_Spec):
    """One of `[[sources]]`: what a bundle is told to be made from, by its public name."""

    name: str = _text(..., 'what others know it by, such as "nyu-mll/glue:sst2"')
    role: str = _text(..., 'what it served as, such as "teacher", "data" or "transfer text"')
    licence: str = _text("not stated", 'an SPDX identifier such as "Apache-2.0", or "not stated"')


class Recipe(_Spec):
    """A whole recipe: the data, the teacher, the rungs below it, and what is compared."""

    name: str = fields.run_name()
    seed: int = fields.seed()
    data: DataSpec = Field(..., description="the table [data]")
    transfer: TransferSpec | None = Field(default=None, description="the table [transfer]")
    teacher: TeacherSpec = Field(..., description="the table [teacher]")
    distill: DistillSpec = Field(default=DistillSpec(), description="the table [distill]")
    rungs: Annotated[tuple[RungSpec, ...], BeforeValidator(listed)] = Field(
        ..., min_length=1, description="at least one table [[rungs]], with double brackets"
    )
    compare: CompareSpec = Field(default=CompareSpec(), description="the table [compare]")
    # In place of the names that the recipe itself holds, which may be paths of one machine.
    sources: Annotated[tuple[SourceSpec, ...], BeforeValidator(listed)] = Field(
        default=(), description="tables [[sources]], with double brackets"
    )

    def resolved_rung(self, index: int) -> RungSettings:
        """Rung `index` (0 is the one below the teacher) with every setting filled in.

        What the rung says comes first, then `[distill]`, then the default of its kind.

        Raises:
            IndexError: there is no such rung.
        """
        rung = self.rungs[index]
        kind = kind_of(rung.model)
        core = (rung.core or core_of_pretrained(rung.model) or DEFAULT_CORE) if kind == "compact" else None
        # Weakest first, and None leaves what is there.
        chosen: dict[str, Any] = asdict(training_for(kind, core))
        if self.data.task == "regression":
            chosen["loss"] = "mse"
        for said in (self.distill.model_dump(), rung.model_dump()):
            chosen |= {key: value for key, value in said.items() if value is not None}
        chosen |= {
            "kind": kind,
            "layers": layers_of(rung.model),
            "max_params": rung.max_params,
            "max_bytes": rung.max_bytes,
            "core": core,
            "hidden": rung.hidden,
            "max_length": rung.max_length or self.data.max_length,
        }
        chosen.setdefault("gold_learning_rate", chosen["learning_rate"] * GOLD_RATE_SHARE)
        return RungSettings(**chosen | {"ema": chosen["ema"] or None})

    def resolved(self) -> "Recipe":
        """The same recipe with each rung's training spelled out, so that later defaults cannot change it."""
        keys = (*DEFAULTS["huggingface"].__dataclass_fields__, "core", "max_length")
        rungs = []
        for index, rung in enumerate(self.rungs):
            found = self.resolved_rung(index)
            settings = asdict(found)
            if found.is_pretrained:
                settings["core"] = None  # the folder says it
            # Off is 0 here: TOML has no null.
            settings["ema"] = settings["ema"] or 0.0
            spelled = {key: settings[key] for key in keys}
            if settings["gold_epochs"]:
                spelled["gold_learning_rate"] = settings["gold_learning_rate"]
            rungs.append(rung.model_copy(update=spelled))
        return self.model_copy(update={"rungs": tuple(rungs)})
