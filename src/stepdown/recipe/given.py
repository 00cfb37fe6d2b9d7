"""What a teacher that is no model rules out: its layers, its middle states, fine-tuning, and texts that nobody scored.

Rules as in `rules`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from stepdown.recipe.faults import Fault, found
from stepdown.recipe.parsed import rungs, table, words
from stepdown.recipe.settings import TEACHER_LAYERS
from stepdown.recipe.teachers import LABELS, is_given, score_columns


def broken(recipe: Mapping[str, object]) -> Iterator[Fault]:
    """Faults of a recipe, as parsed from TOML, whose teacher is no model, or that asks of a model what it is not."""
    teacher = table(recipe, "teacher")
    models = words(teacher.get("model"))
    given = [model for model in models if is_given(model)]
    if not given:
        if models and teacher.get("scores") == "probabilities":
            says = 'found "probabilities", but a model says logits; the key is for labels:… . Leave it out'
            yield Fault(("teacher", "scores"), says)
        return
    if len(models) > 1:
        says = (
            f"found {found(given[0])} among several teachers; it stands alone, since a mean needs all of them for "
            "every text. Put the mean of several into the columns"
        )
        yield Fault(("teacher", "model"), says)
    for model in given:
        yield from _columns(model, table(recipe, "data"))
    yield from _needs_a_model(recipe, given[0])


def _columns(model: str, data: Mapping[str, object]) -> Iterator[Fault]:
    columns = score_columns(model)
    if columns is None:
        return
    path = ("teacher", "model")
    if not columns or not all(columns):
        says = f'found {found(model)}; expected "labels:" and the columns of the scores, with commas between them'
        yield Fault(path, says)
    patterns = [column for column in columns if "*" in column]
    if patterns and (len(columns) > 1 or patterns[0].count("*") > 1):
        says = f'found {found(model)}; a pattern has one * and stands alone, as in "labels:score_*"'
        yield Fault(path, says)
    for column, count in Counter(columns).items():
        if column and count > 1:
            yield Fault(path, f"found the column {found(column)} {count} times; expected it once")
        for key in ("text", "label"):
            if column in words(data.get(key)):
                says = f"found {found(column)}, the column of the {key}; expected columns of scores"
                yield Fault(path, says)


def _needs_a_model(recipe: Mapping[str, object], given: str) -> Iterator[Fault]:
    """Keys that ask of the teacher what only a model has."""
    what = f"but the teacher is {found(given)}"
    teacher, transfer = table(recipe, "teacher"), table(recipe, "transfer")
    reasons = {
        "epochs": "and is not fine-tuned",
        "learning_rate": "and is not fine-tuned",
        "label_map": "whose scores are matched with the labels by the names of their columns, or by their order",
    }
    for key, why in reasons.items():
        if teacher.get(key) is not None:
            yield Fault(("teacher", key), f"found {found(teacher[key])}, {what}, {why}. Leave it out")
    for index, rung in enumerate(rungs(recipe)):
        model, hints = rung.get("model"), rung.get("hint_weight")
        if isinstance(model, str) and TEACHER_LAYERS.fullmatch(model):
            says = f'found {found(model)}, {what}, which has no layers to copy; expected "compact", "bag" or a model'
            yield Fault(("rungs", index, "model"), says)
        if hints:
            says = f"found {found(hints)}, {what}, which has no middle layer to give hints. Leave it out"
            yield Fault(("rungs", index, "hint_weight"), says)
    if not given.startswith(LABELS):
        return
    for key, thing in (("views", "views"), ("split_sentences", "sentences")):
        if transfer.get(key):
            says = f"found {found(transfer[key])}, {what}: nobody is there to score {thing}. Leave it out"
            yield Fault(("transfer", key), says)
