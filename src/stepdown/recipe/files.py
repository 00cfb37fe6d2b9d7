"""A recipe from a file and back to one."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, Field, ValidationError

from stepdown.errors import RecipeError
from stepdown.recipe import paths, pretraining, rules
from stepdown.recipe.faults import RUN, Fault, Form, found, nearest, of_schema, ordered
from stepdown.recipe.pretraining import PretrainRecipe
from stepdown.recipe.schema import Recipe, SourceSpec
from stepdown.recipe.sets import apply

# A recipe is a page of text; whoever names a large file meant another one.
_LARGEST = 1_000_000

_SHIPPED = Path(__file__).parent.parent / "recipes"


def shipped() -> dict[str, Path]:
    """The recipes that come with stepdown: name → file."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}


def load(name_or_path: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """Reads a recipe: the shipped one of that name, else a file.

    Args:
        name_or_path: a shipped name such as `demo`, or a TOML file. Paths in it are relative to its folder.
        sets: changes as `--set` takes them, `key=value`. Paths in them are relative to the working folder.

    Raises:
        RecipeError: no such recipe, it cannot be read, or it has faults; all of them are named.
    """
    changed, unset = _changed(_find(name_or_path, shipped()), sets)
    _refuse_other_kind(changed, str(name_or_path), "run", RUN, pretraining.FORM)
    return _build(changed, str(name_or_path), unset)


def load_pretraining(path: str | Path, sets: Sequence[str] = ()) -> PretrainRecipe:
    """Reads a recipe of `stepdown pretrain`.

    Args:
        path: a TOML file. Paths in it are relative to its folder.
        sets: as for `load`.

    Raises:
        RecipeError: no such recipe, it cannot be read, or it has faults; all of them are named.
    """
    changed, unset = _changed(_find(path, {}), sets)
    _refuse_other_kind(changed, str(path), "pretrain", pretraining.FORM, RUN)
    found = _checked(changed, pretraining.FORM, list(pretraining.broken(changed)), str(path), unset)
    assert isinstance(found, PretrainRecipe)
    return found.resolved()


def parse(mapping: Mapping[str, object], source: str = "recipe", base: Path | None = None) -> Recipe:
    """A recipe from what its TOML holds.

    Args:
        mapping: tables, lists and values.
        source: what the recipe is called in errors.
        base: folder that relative paths start from; the working folder if None.

    Returns:
        the recipe with every default filled in, those of the rungs' kinds too.

    Raises:
        RecipeError: it has faults; all of them are named.
    """
    resolved = paths.absolute(mapping, base or Path.cwd())
    assert isinstance(resolved, dict)
    return _build(resolved, source, [])


def load_sources(name_or_path: str | Path) -> tuple[SourceSpec, ...]:
    """The `[[sources]]` of a recipe, or of a TOML file with nothing else in it.

    Raises:
        RecipeError: no such recipe or file, it cannot be read, has none, or they have faults.
    """
    mapping = _read(_find(name_or_path, shipped()))
    if not mapping.get("sources"):
        says = "has no [[sources]]; expected such tables, each with name, role and licence"
        raise RecipeError(str(name_or_path), [says])
    try:
        return _Sources.model_validate({"sources": mapping["sources"]}).sources
    except ValidationError as error:
        raise RecipeError(str(name_or_path), ordered(of_schema(error))) from None


class _Sources(BaseModel):
    model_config = Recipe.model_config
    sources: tuple[SourceSpec, ...] = Field(strict=False)


def dump(recipe: Recipe | PretrainRecipe) -> str:
    """TOML that alone reproduces a recipe: every default is written, and it reads as an equal one."""
    spelled = recipe.resolved() if isinstance(recipe, Recipe) else recipe
    stated = spelled.model_dump(exclude_none=True)
    # An empty list of tables would be written as a key of its own.
    return tomli_w.dumps({key: _plain(value) for key, value in stated.items() if value != ()})


def _plain(value: Any) -> Any:
    """Lists of one word as the word, which reads better and means the same."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _changed(path: Path, sets: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """A file's mapping with absolute paths and the settings made, and the faults of settings that were not."""
    mapping = paths.absolute(_read(path), path.parent)
    assert isinstance(mapping, dict)
    return apply(mapping, sets)


def _refuse_other_kind(
    mapping: Mapping[str, object], source: str, command: str, form: Form, other: Form
) -> None:
    """A recipe that has tables of another command alone belongs there: one sentence rather than ten faults."""
    if not mapping.keys() & form.tables.keys() and mapping.keys() & other.tables.keys():
        elsewhere = {"run": "pretrain", "pretrain": "run"}[command]
        raise RecipeError(
            source, [f"is a recipe of `stepdown {elsewhere}`; expected one of `stepdown {command}`"]
        )


def _build(mapping: dict[str, object], source: str, unset: list[str]) -> Recipe:
    recipe = _checked(mapping, RUN, list(rules.broken(mapping)), source, unset)
    assert isinstance(recipe, Recipe)
    return recipe.resolved()


def _checked(
    mapping: dict[str, object], form: Form, faults: list[Fault], source: str, unset: list[str]
) -> BaseModel:
    """The recipe that a mapping makes; an error with all faults, those found before among them."""
    recipe = None
    try:
        recipe = form.schema.model_validate(mapping)
    except ValidationError as error:
        # Where a rule has spoken, it knows more than the schema.
        spoken = {fault.path for fault in faults}
        faults = [*faults, *(fault for fault in of_schema(error, form) if fault.path not in spoken)]
    if recipe is None or faults or unset:
        raise RecipeError(source, [*unset, *ordered(faults, form)])
    return recipe


def _find(name_or_path: str | Path, known: Mapping[str, Path]) -> Path:
    """The file that is meant: one of the known by its bare name, else a file that exists and is no folder."""
    name = str(name_or_path)
    if isinstance(name_or_path, str) and name in known:
        return known[name]
    path = Path(name_or_path)
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:
        raise _unreadable(name, error) from None
    if is_folder:
        inside = path / "recipe.toml"
        hint = f"; it holds one: {inside}" if inside.is_file() else ""
        raise RecipeError(name, [f"is a folder; expected a recipe file{hint}"])
    if is_there:
        return path
    if path.suffix or len(path.parts) > 1:
        advice = " `stepdown init DATA` writes a recipe" if known else ""
        raise RecipeError(name, [f"no such file.{_neighbour(path)}{advice}"])
    if not known:
        raise RecipeError(name, ["no such file; expected a recipe, a .toml file"])
    near = nearest(name, known)
    hint = f" Did you mean {near}?" if near else ""
    raise RecipeError(name, [f"no such recipe.{hint} Shipped are {', '.join(known)}; or name a .toml file"])


def _unreadable(source: str, error: OSError) -> RecipeError:
    return RecipeError(source, [f"cannot be read: {error.strerror or error}"])


def _neighbour(path: Path) -> str:
    """A hint at the recipe in the same folder whose name is nearest."""
    try:
        names = [other.name for other in path.parent.glob("*.toml")]
    except OSError:
        return ""
    near = nearest(path.name, names)
    return f" Did you mean {path.parent / near}?" if near else ""


def _read(path: Path) -> dict[str, object]:
    source = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise _unreadable(source, error) from None
    if len(content) > _LARGEST:
        raise RecipeError(
            source, ["is larger than 1 MB; expected a recipe. `stepdown init DATA` makes one of data"]
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        says = f"line {line}: byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        raise RecipeError(source, [says]) from None
    if not text.strip():
        raise RecipeError(source, ["is empty; `stepdown init DATA` writes a complete recipe"])
    return _parse_toml(text, source)


def _parse_toml(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise RecipeError(
            source, ["nested too deeply; expected tables of keys, as `stepdown init` writes"]
        ) from None
    except ValueError as error:
        raise RecipeError(source, [_syntax(str(error), text)]) from None


def _syntax(message: str, text: str) -> str:
    """A syntax error of TOML as `line L, column C: what, in the line …`."""
    place = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if place is None:
        return f"not TOML: {message}"
    lines = text.split("\n")
    line, column = (int(place[1]), int(place[2])) if place[1] else (len(lines), len(lines[-1]) + 1)
    says = f"line {line}, column {column}: {message[: place.start()]}"
    written = lines[line - 1].strip() if line <= len(lines) else ""
    return f"{says}, in {found(written)}" if written else says
