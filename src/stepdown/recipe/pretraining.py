"""Recipes of `stepdown pretrain`: a student, texts without labels, and how the one reads the others.

The defaults are BERT's (Devlin et al. 2019, section 3.1 and appendix A.2) but for what a network a hundred times
smaller wants otherwise; LOG.md has what was measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import Field

from stepdown.recipe import fields
from stepdown.recipe.faults import Fault, Form, found
from stepdown.recipe.parsed import table, words
from stepdown.recipe.rules import BUILTIN_DATA, BUILTIN_MODELS, builtin
from stepdown.recipe.schema import LEAST_PARAMS, UnlabeledSpec
from stepdown.recipe.settings import CORES, DEFAULT_CORE, TEACHER_LAYERS, Core

Student = Literal["bert_hash", "compact"]
Size = Literal["femto", "pico", "nano"]

STUDENTS: tuple[Student, ...] = get_args(Student)
SIZES: tuple[Size, ...] = get_args(Size)

VOCABULARY = "demo:minilm-l6"
"""Whose word pieces a `bert_hash` reads where the recipe does not say."""

POSITIONS = 512
"""Positions of every published `bert_hash`: no text is longer."""


@dataclass(frozen=True)
class BertHashSizes:
    """Sizes of a `bert_hash`: hidden size, columns of the table, layers, heads of attention."""

    hidden: int
    projections: int
    layers: int = 2
    heads: int = 2


PUBLISHED: Mapping[Size, BertHashSizes] = {
    "femto": BertHashSizes(50, 5),
    "pico": BertHashSizes(80, 8),
    "nano": BertHashSizes(128, 16),
}


class TextSpec(UnlabeledSpec):
    """`[text]`: what the student reads, and what it must not have read."""

    unlabeled: fields.Words = Field(
        ..., min_length=1, description="a hub id, a folder or a file of texts, or a list of them"
    )
    keep_out: fields.Words = Field(
        default=(),
        description="a hub id, a folder or a file of texts to be tested on later, or a list of them",
    )


class ModelSpec(fields.Spec):
    """`[model]`: the student."""

    student: Student = Field(default="bert_hash", description='"bert_hash" or "compact"')
    size: Size | None = Field(
        default=None, description=f"one of {', '.join(SIZES)}, or hidden and projections in its place"
    )
    hidden: int | None = fields.whole(None, 4)
    projections: int | None = fields.whole(None, 1)
    layers: int | None = fields.whole(None, 1)
    heads: int | None = fields.whole(None, 1)
    vocabulary: str | None = fields.text(
        None, "a folder, a hub id or demo:minilm-l6: whose word pieces the student reads"
    )
    max_params: int | None = fields.whole(
        None, LEAST_PARAMS, ": fewer parameters hold no student; try 250_000"
    )
    core: Core | None = Field(default=None, description='"gru", "forward-gru" or "conv"')
    embeddings: str | None = fields.text(
        None, "a folder, a hub id or demo:minilm-l6: whose words lend their vectors, or leave it out"
    )

    @property
    def sizes(self) -> BertHashSizes:
        """The sizes, whichever way the recipe says them."""
        if self.size is not None:
            return PUBLISHED[self.size]
        assert self.hidden is not None, "a rule sees to it"
        assert self.projections is not None, "a rule sees to it"
        stated = {"layers": self.layers, "heads": self.heads}
        others = {key: value for key, value in stated.items() if value is not None}
        return BertHashSizes(self.hidden, self.projections, **others)


class TrainingSpec(fields.Spec):
    """`[training]`: how it is trained."""

    epochs: int | None = fields.whole(None, 1)
    steps: int | None = fields.whole(None, 1)
    batch_size: int = fields.whole(64, 1)
    learning_rate: float = fields.learning_rate(3e-3)
    warmup: float = fields.share(0.1)
    weight_decay: float = fields.weight(0.01)
    dropout: float = fields.share(0.0)
    max_length: int = Field(
        default=128,
        ge=8,
        le=POSITIONS,
        description=f"a whole number from 8 to {POSITIONS}: longer texts are cut up",
    )
    mask_share: float = fields.fraction(0.15, "the word pieces")
    validation_fraction: float = fields.fraction(0.01, "the texts")
    evaluations: int = fields.whole(20, 1)


class PretrainRecipe(fields.Spec):
    """A whole recipe of `stepdown pretrain`."""

    name: str = fields.run_name()
    seed: int = fields.seed()
    text: TextSpec = Field(..., description="the table [text]")
    model: ModelSpec = Field(..., description="the table [model]")
    training: TrainingSpec = Field(..., description="the table [training]")

    def resolved(self) -> "PretrainRecipe":
        """The same recipe with its student's defaults spelled out, so that later ones cannot change it."""
        if self.model.student == "bert_hash":
            filled = {"vocabulary": self.model.vocabulary or VOCABULARY}
        else:
            filled = {"core": self.model.core or DEFAULT_CORE}
        return self.model_copy(update={"model": self.model.model_copy(update=filled)})


FORM = Form(
    PretrainRecipe,
    {"text": TextSpec, "model": ModelSpec, "training": TrainingSpec},
    {"student": STUDENTS, "size": SIZES, "core": CORES},
)


def broken(recipe: Mapping[str, object]) -> Iterator[Fault]:
    """Faults of a recipe, as parsed from TOML, whose keys do not go together or that this version leaves out."""
    text, model, training = table(recipe, "text"), table(recipe, "model"), table(recipe, "training")
    if len(words(text.get("text"))) > 1:
        yield Fault(
            ("text", "text"), f"found {found(text['text'])}; expected the one column that holds the text"
        )
    for key in ("unlabeled", "keep_out"):
        yield from builtin(("text", key), words(text.get(key)), BUILTIN_DATA)
    for key in ("vocabulary", "embeddings"):
        yield from builtin(("model", key), words(model.get(key)), BUILTIN_MODELS)
    yield from _student(model.get("student"))
    if isinstance(recipe.get("model"), Mapping):
        student = model.get("student", "bert_hash")
        yield from _of_others(student, model)
        if student == "bert_hash":
            yield from _sizes(model)
        if student == "compact" and model.get("max_params") is None:
            yield Fault(("model", "max_params"), "missing; expected a number of parameters, such as 250_000")
    if isinstance(recipe.get("training"), Mapping):
        yield from _duration(training)


# Keys that one student alone has.
_OWN: Mapping[Student, tuple[str, ...]] = {
    "bert_hash": ("size", "hidden", "projections", "layers", "heads", "vocabulary"),
    "compact": ("max_params", "core", "embeddings"),
}


def _of_others(student: object, model: Mapping[str, object]) -> Iterator[Fault]:
    for other, keys in _OWN.items():
        for key in keys:
            if student in STUDENTS and student != other and model.get(key) is not None:
                says = f"found {found(model[key])}, but it is for {other}, and the student is {student}; leave it out"
                yield Fault(("model", key), says)


def _student(student: object) -> Iterator[Fault]:
    path, expected = ("model", "student"), 'expected "bert_hash" or "compact"'
    if student == "bag":
        says = "a bag reads no word beside another, so nothing would tell it a hidden one"
        yield Fault(path, f"found {found(student)}; {expected}: {says}")
    elif isinstance(student, str) and TEACHER_LAYERS.fullmatch(student):
        says = "a teacher's layers have been pretrained already, and a run takes them as they are"
        yield Fault(path, f"found {found(student)}; {expected}: {says}")


def _sizes(model: Mapping[str, object]) -> Iterator[Fault]:
    named = ("hidden", "projections", "layers", "heads")
    if model.get("size") is not None:
        for key in named:
            if model.get(key) is not None:
                yield Fault(
                    ("model", key), "found beside model.size, which says it already; expected one of them"
                )
        return
    for key in named[:2]:
        if model.get(key) is None:
            yield Fault(
                ("model", key), f"missing; expected a whole number, or model.size, one of {', '.join(SIZES)}"
            )
    hidden, heads = model.get("hidden"), model.get("heads", BertHashSizes.heads)
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0 and hidden % heads:
        yield Fault(
            ("model", "hidden"),
            f"found {hidden}, of which {heads} heads cannot have equal shares; expected a multiple",
        )


def _duration(training: Mapping[str, object]) -> Iterator[Fault]:
    epochs, steps = training.get("epochs"), training.get("steps")
    if epochs is None and steps is None:
        yield Fault(
            ("training", "epochs"), "missing; expected passes over the text, or training.steps in its place"
        )
    if epochs is not None and steps is not None:
        yield Fault(("training", "steps"), "found beside training.epochs; expected one of them")
