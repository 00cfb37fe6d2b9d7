"""What the kind of task and pairs of texts rule out: keys that mean something for other tasks only.

Rules as in `rules`. Where no key says the kind, the data do, and they are not read here.
"""

from collections.abc import Iterator, Mapping

from stepdown.recipe.faults import Fault, found
from stepdown.recipe.parsed import rungs, table, words


def broken(recipe: Mapping[str, object]) -> Iterator[Fault]:
    """Faults of a recipe, as parsed from TOML, that asks of its task what only others can do."""
    data = table(recipe, "data")
    yield from _labels(data)
    if data.get("task") == "regression":
        yield from _regression(recipe)
    yield from _pairs(words(data.get("text")), table(recipe, "transfer"))


def _labels(data: Mapping[str, object]) -> Iterator[Fault]:
    several, separator, task = (
        len(words(data.get("label"))) > 1,
        data.get("label_separator"),
        data.get("task"),
    )
    if several and separator is not None:
        says = f"found {found(separator)} beside several label columns; it parts the labels of one cell. Leave it out"
        yield Fault(("data", "label_separator"), says)
    if (several or separator is not None) and task in ("single-label", "regression"):
        what = "several label columns make" if several else "label_separator makes"
        yield Fault(("data", "task"), f"found {found(task)}, but {what} the task multi-label. Leave task out")


def _regression(recipe: Mapping[str, object]) -> Iterator[Fault]:
    names = table(recipe, "data").get("label_names")
    if names is not None:
        says = f"found {found(names)}, but numbers to be predicted have no names. Leave it out"
        yield Fault(("data", "label_names"), says)
    tables: list[tuple[tuple[str | int, ...], Mapping[str, object]]] = [
        (("distill",), table(recipe, "distill")),
        *((("rungs", index), rung) for index, rung in enumerate(rungs(recipe))),
    ]
    for path, own in tables:
        if own.get("class_weights") is True:
            yield Fault((*path, "class_weights"), "found true, but regression has no classes. Leave it out")
        if own.get("loss") == "kl":
            says = 'found "kl", which compares probabilities, but regression has none; expected "mse", or leave it out'
            yield Fault((*path, "loss"), says)


def _pairs(text: tuple[str, ...], transfer: Mapping[str, object]) -> Iterator[Fault]:
    if len(text) > 2:
        yield Fault(
            ("data", "text"), f"found {found(text)}; expected one column, or two that make a pair of texts"
        )
        return
    more = words(transfer.get("text"))
    if text and more and len(text) != len(more):
        expected = "two columns, as data.text has" if len(text) == 2 else "one column, as data.text has"
        yield Fault(("transfer", "text"), f"found {found(transfer['text'])}; expected {expected}")
    if len(text) != 2:
        return
    if transfer.get("split_sentences") is True:
        says = "found true, but sentences of one text of a pair and of the other make no pairs. Leave it out"
        yield Fault(("transfer", "split_sentences"), says)
