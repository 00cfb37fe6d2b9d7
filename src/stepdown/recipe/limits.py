"""What recipes can say and this version does not carry out. Each is refused in one sentence, never ignored.

Left out so far: tasks of other kinds (several labels a text, a number, a pair of texts), and ready soft labels. The
schema has their keys, because recipes outlive versions.
"""

from collections.abc import Iterator, Mapping

from stepdown.recipe.faults import Fault, found, nearest
from stepdown.recipe.fields import listed
from stepdown.recipe.schema import TASKS

_DOES = "this version does single-label classification of one text"


def refused(recipe: Mapping[str, object]) -> Iterator[Fault]:
    """Faults of a recipe, as parsed from TOML, that asks for what this version leaves out."""
    yield from _data(table(recipe, "data"))
    yield from _transfer(table(recipe, "transfer"))
    yield from _teacher(table(recipe, "teacher"))


def table(recipe: Mapping[str, object], name: str) -> Mapping[str, object]:
    """A table of the recipe; an empty one where it is absent or is no table, which the schema says."""
    value = recipe.get(name)
    return value if isinstance(value, Mapping) else {}


def rungs(recipe: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The rungs' tables, an empty one for each that is no table."""
    value = recipe.get("rungs")
    return (
        [rung if isinstance(rung, Mapping) else {} for rung in value]
        if isinstance(value, list | tuple)
        else []
    )


def words(value: object) -> tuple[str, ...]:
    """The strings of a key that takes one or several."""
    several = listed(value)
    return tuple(word for word in several if isinstance(word, str)) if isinstance(several, tuple) else ()


def _data(data: Mapping[str, object]) -> Iterator[Fault]:
    if len(words(data.get("text"))) == 2:
        yield Fault(("data", "text"), "two columns make a pair of texts; this version classifies one text")
    if len(words(data.get("text"))) > 2:
        yield Fault(
            ("data", "text"), f"found {found(data['text'])}; expected the one column that holds the text"
        )
    if len(words(data.get("label"))) > 1:
        yield Fault(("data", "label"), f"several columns make several labels a text; {_DOES}")
    if data.get("label_separator") is not None:
        yield Fault(("data", "label_separator"), f"it makes several labels of one cell; {_DOES}")
    task = data.get("task")
    if isinstance(task, str) and nearest(task, TASKS) in ("multi-label", "regression"):
        yield Fault(("data", "task"), f"found {found(task)}; {_DOES}")


def _transfer(transfer: Mapping[str, object]) -> Iterator[Fault]:
    if len(words(transfer.get("text"))) > 1:
        yield Fault(
            ("transfer", "text"), "several columns make a pair of texts; this version classifies one text"
        )


def _teacher(teacher: Mapping[str, object]) -> Iterator[Fault]:
    models = words(teacher.get("model"))
    if any(model.startswith("labels:") for model in models):
        yield Fault(
            ("teacher", "model"),
            "ready soft labels (labels:…) are not read by this version; expected a model",
        )
