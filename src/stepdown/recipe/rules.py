"""What one key cannot say of itself: keys that need or exclude each other, and names that mean something.

The rules read the recipe as it was parsed from TOML, not as the schema made it, so that they find their
faults even where other keys are faulty. A value of a wrong type or out of range breaks no rule: the schema
names it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from stepdown.recipe import given, kinds
from stepdown.recipe.faults import Fault, did_you_mean, found, nearest
from stepdown.recipe.parsed import rungs, table, words
from stepdown.recipe.settings import FAMILIES, TEACHER_LAYERS, is_pretrained

# The names alone: what they stand for is in `assets`, further down the line of rooms.
BUILTIN_DATA = ("demo:movie-snippets",)
BUILTIN_MODELS = ("demo:minilm-l6", "demo:mpnet-base")


def broken(recipe: Mapping[str, object]) -> Iterator[Fault]:
    """Faults of a recipe, as parsed from TOML, whose keys do not go together."""
    data, transfer, teacher = table(recipe, "data"), table(recipe, "transfer"), table(recipe, "teacher")
    if isinstance(recipe.get("data"), Mapping):
        yield from _places(data)
    yield from _columns(data)
    yield from _fractions(data)
    yield from kinds.broken(recipe)
    yield from given.broken(recipe)
    for key in ("source", "train"):
        yield from builtin(("data", key), words(data.get(key)), BUILTIN_DATA)
    yield from builtin(("transfer", "unlabeled"), words(transfer.get("unlabeled")), BUILTIN_DATA)
    yield from _teacher(words(teacher.get("model")))
    yield from _weights(table(recipe, "distill"), rungs(recipe))
    for index, rung in enumerate(rungs(recipe)):
        yield from _model(index, rung)
        yield from _budget(index, rung)
        yield from _core(index, rung)
        yield from _of_words(index, rung)
        yield from _hints(index, rung)
    yield from _repeats(("compare", "arms"), words(table(recipe, "compare").get("arms")))
    for key in ("text", "label", "label_names"):
        yield from _repeats(("data", key), words(data.get(key)))


def _places(data: Mapping[str, object]) -> Iterator[Fault]:
    source, train = data.get("source"), data.get("train")
    if source is None and train is None:
        yield Fault(
            ("data", "source"),
            "missing; expected where the rows are (a hub id, a folder, a file, demo:movie-snippets), "
            "or data.train for a file per split",
        )
    for key in ("train", "validation", "test"):
        if source is not None and data.get(key) is not None:
            yield Fault(
                ("data", key),
                "found beside data.source; expected data.source, in which the splits are found, or "
                "data.train with data.validation and data.test (--set data.source= takes the source out)",
            )


def _columns(data: Mapping[str, object]) -> Iterator[Fault]:
    for column in words(data.get("label")):
        if column in words(data.get("text")):
            yield Fault(("data", "label"), f"found {found(column)}, the column of the text; expected another")


def _fractions(data: Mapping[str, object]) -> Iterator[Fault]:
    if data.get("selection_fraction") == 0.5 and data.get("report_fraction") == 0.5:
        says = "with selection_fraction it takes all rows; expected a sum below 1"
        yield Fault(("data", "report_fraction"), says)


def builtin(path: tuple[str | int, ...], names: tuple[str, ...], known: tuple[str, ...]) -> Iterator[Fault]:
    """Names of built-ins that there are not."""
    for name in names:
        if name.startswith("demo:") and name not in known:
            hint = did_you_mean(name, known)
            yield Fault(path, f"found {found(name)}; expected a built-in: {', '.join(known)}{hint}")


def _teacher(models: tuple[str, ...]) -> Iterator[Fault]:
    yield from builtin(("teacher", "model"), models, BUILTIN_MODELS)
    yield from _repeats(("teacher", "model"), models)
    for model in models:
        if model in FAMILIES or model.startswith("teacher:") or is_pretrained(model):
            says = f"found {found(model)}, which is a rung; expected a hub id, a folder or demo:…"
            yield Fault(("teacher", "model"), says)


def _weights(distill: Mapping[str, object], ladder: list[Mapping[str, object]]) -> Iterator[Fault]:
    """Each rung must learn from something: soft labels, hard labels or both."""
    says = "soft_weight and hard_weight are both 0: nothing is left to learn from; set one of them above 0"
    soft, hard = distill.get("soft_weight", 1.0), distill.get("hard_weight", 0.0)
    if soft == 0 and hard == 0:
        yield Fault(("distill", "soft_weight"), says)
    for index, rung in enumerate(ladder):
        own = (_or(rung.get("soft_weight"), soft), _or(rung.get("hard_weight"), hard))
        if own == (0, 0) and (soft, hard) != (0, 0):
            key = "soft_weight" if rung.get("soft_weight") is not None else "hard_weight"
            yield Fault(("rungs", index, key), says)


def _or(value: object, default: object) -> object:
    return default if value is None else value


def _model(index: int, rung: Mapping[str, object]) -> Iterator[Fault]:
    path, model = ("rungs", index, "model"), rung.get("model")
    if not isinstance(model, str):
        return
    yield from builtin(path, (model,), BUILTIN_MODELS)
    name = model.casefold()
    if name.startswith("labels:"):
        yield Fault(path, f"found {found(model)}: soft labels are a teacher, not a rung")
    elif name.split(":")[0].strip() == "teacher" and not TEACHER_LAYERS.fullmatch(model):
        says = f'found {found(model)}; expected "teacher:N", N at least 1: the teacher\'s first N layers'
        yield Fault(path, says)
    elif model not in FAMILIES and (meant := _family(model)):
        yield Fault(path, f'found {found(model)}. Did you mean "{meant}"? A folder is written ./{model}')


def _budget(index: int, rung: Mapping[str, object]) -> Iterator[Fault]:
    model = rung.get("model")
    given = [key for key in ("max_params", "max_bytes") if rung.get(key) is not None]
    if not isinstance(model, str):
        return
    if model in FAMILIES and not given:
        says = (
            f'missing; "{model}" is built to a budget, expected a number of parameters such as 250_000, '
            "or max_bytes such as 1_000_000"
        )
        yield Fault(("rungs", index, "max_params"), says)
    if model in FAMILIES and len(given) == 2:
        yield Fault(("rungs", index, "max_params"), "found beside max_bytes; expected one budget")
    if not _family(model):
        for key in given:
            says = f"found {found(rung[key])}, but {found(model)} has its own size; a budget is for "
            yield Fault(("rungs", index, key), says + " and ".join(f'"{family}"' for family in FAMILIES))


def _core(index: int, rung: Mapping[str, object]) -> Iterator[Fault]:
    model = rung.get("model")
    if not isinstance(model, str) or _family(model) == "compact":
        return
    for key, what in (("core", "a core is"), ("hidden", "the size of a core is")):
        value = rung.get(key)
        if value is not None:
            says = f'found {found(value)}, but {found(model)} has no core to choose; {what} for "compact". Leave it out'
            yield Fault(("rungs", index, key), says)


def _of_words(index: int, rung: Mapping[str, object]) -> Iterator[Fault]:
    """What is for students that read whole words."""
    model = rung.get("model")
    if not isinstance(model, str) or _family(model) or _may_read_words(model):
        return
    families = " and ".join(f'"{family}"' for family in FAMILIES)
    # No word dropout is what other students have; a rate, 0 too, is nothing to them.
    says = f"but {found(model)} does not read whole words; it is for {families}. Leave it out"
    for key, harmless in (("word_dropout", 0), ("embedding_rate", None)):
        value = rung.get(key)
        if value not in (None, harmless):
            yield Fault(("rungs", index, key), f"found {found(value)}, {says}")


def _hints(index: int, rung: Mapping[str, object]) -> Iterator[Fault]:
    model, weight = rung.get("model"), rung.get("hint_weight")
    if not weight or not isinstance(model, str) or _family(model) == "compact" or _may_read_words(model):
        return
    says = f'found {found(weight)}, but {found(model)} takes no hints; they are for "compact". Leave it out'
    yield Fault(("rungs", index, "hint_weight"), says)


def _family(model: str) -> str | None:
    """The family that a rung's model is, or is a misspelling of; hub ids have a slash, and families none."""
    return None if "/" in model else nearest(model, FAMILIES, cutoff=0.75)


def _may_read_words(model: str) -> bool:
    """Whether it is a pretrained compact student, or a folder that is gone and was one, for all that a recipe tells."""
    return is_pretrained(model) or (Path(model).is_absolute() and not Path(model).exists())


def _repeats(path: tuple[str | int, ...], names: tuple[str, ...]) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Fault(path, f"found {found(name)} {count} times; expected it once")
