"""A recipe as its TOML has it, before the schema has seen it: what rules read."""

from collections.abc import Mapping

from stepdown.recipe.fields import listed


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
