"""What recipes can say and this version does not carry out. Each is refused in one sentence, never ignored.

Left out so far: ready soft labels. The schema has room for them, because recipes outlive versions.
"""

from collections.abc import Iterator, Mapping

from stepdown.recipe.faults import Fault
from stepdown.recipe.fields import listed


def refused(recipe: Mapping[str, object]) -> Iterator[Fault]:
    """Faults of a recipe, as parsed from TOML, that asks for what this version leaves out."""
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


def _teacher(teacher: Mapping[str, object]) -> Iterator[Fault]:
    models = words(teacher.get("model"))
    if any(model.startswith("labels:") for model in models):
        yield Fault(
            ("teacher", "model"),
            "ready soft labels (labels:…) are not read by this version; expected a model",
        )
