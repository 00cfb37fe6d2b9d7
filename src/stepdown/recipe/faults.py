"""What is wrong with a recipe, in words: where, what was found, what was expected, the nearest valid name."""

import datetime
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stepdown.recipe.schema import (
    ARMS,
    LOSSES,
    SCORES,
    CompareSpec,
    DataSpec,
    DistillSpec,
    Recipe,
    RungSpec,
    SourceSpec,
    TeacherSpec,
    TransferSpec,
)
from stepdown.recipe.settings import CORES
from stepdown.tasks import TASK_KINDS

TABLES: Mapping[str, type[BaseModel]] = {
    "data": DataSpec,
    "transfer": TransferSpec,
    "teacher": TeacherSpec,
    "distill": DistillSpec,
    "rungs": RungSpec,
    "compare": CompareSpec,
    "sources": SourceSpec,
}
CHOICES: Mapping[str, Sequence[str]] = {
    "arms": ARMS,
    "core": CORES,
    "loss": LOSSES,
    "scores": SCORES,
    "task": TASK_KINDS,
}
# Tables that a recipe may have several of.
_REPEATED = ("rungs", "sources")


@dataclass(frozen=True)
class Form:
    """A kind of recipe, as messages about it need it.

    Attributes:
        schema: of the whole.
        tables: schema of each table.
        choices: words that a key may hold, of keys that have a choice.
    """

    schema: type[BaseModel]
    tables: Mapping[str, type[BaseModel]]
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)


RUN = Form(Recipe, TABLES, CHOICES)


@dataclass(frozen=True)
class Fault:
    """One mistake: the key's path, such as `("rungs", 1, "epochs")`, and what is wrong there."""

    path: tuple[str | int, ...]
    says: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.says}"


def of_schema(error: ValidationError, form: Form = RUN) -> Iterator[Fault]:
    """The schema's findings as faults."""
    details = error.errors(include_url=False)
    for detail in details:
        place = detail["loc"]
        # A list counts as too short when its entries are faulty; then the entries' faults say it all.
        inside = any(other["loc"][: len(place)] == place and other is not detail for other in details)
        if not (inside and detail["type"] == "too_short"):
            yield Fault(place, _says(detail, form))


def ordered(faults: Iterable[Fault], form: Form = RUN) -> list[str]:
    """The faults' texts, table by table as in the schema and rung by rung."""
    sections = list(form.schema.model_fields)

    def place(fault: Fault) -> tuple[int, int]:
        first, second = (*fault.path, None, None)[:2]
        section = sections.index(first) if first in sections else len(sections)
        return section, second if isinstance(second, int) else -1

    return [str(fault) for fault in sorted(faults, key=place)]


def dotted(path: Iterable[str | int]) -> str:
    """A key's path as `--set` spells it."""
    return ".".join(str(part) for part in path)


def literal(value: object) -> str:
    """A value as TOML spells it, on one line."""
    if isinstance(value, str):
        # A JSON string is a TOML string but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {literal(item)}' for key, item in value.items())} }}"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def found(value: object) -> str:
    """A value as a message quotes it, at most 60 characters."""
    text = "nothing" if value is None else literal(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`. Did you mean …?` with the name nearest to a word, or nothing where none is near."""
    near = nearest(word, names)
    return f". Did you mean {literal(near)}?" if near else ""


def nearest(word: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name most like a word, whatever the case; None where none is."""
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def _says(detail: ErrorDetails, form: Form) -> str:
    path, kind, value = detail["loc"], detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown(path, form)
    if path[-1] == "[key]":
        return f"found {found(value)} as a key; expected text"
    expected = _expected(path, form)
    if kind == "missing":
        return f"missing; expected {expected}"
    if kind != "literal_error":
        return f"found {found(value)}; expected {expected}"
    choices = form.choices[next(part for part in reversed(path) if isinstance(part, str))]
    if isinstance(path[-1], int):
        expected = f"one of {', '.join(choices)}"
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"found {found(value)}; expected {expected}{hint}"


def _expected(path: tuple[str | int, ...], form: Form) -> str:
    """The description of the field that a path leads into."""
    fields: Mapping[str, FieldInfo] = form.schema.model_fields
    says = ""
    for part in path:
        if isinstance(part, int):
            says = f"a table, {_heading(str(path[0]))}" if path[0] in _REPEATED and len(path) == 2 else says
        elif part in fields:
            says = fields[part].description or ""
            fields = form.tables[part].model_fields if part in form.tables else {}
    return says


def _unknown(path: tuple[str | int, ...], form: Form) -> str:
    """What to say of a key that is not in the schema: the nearest in its table, or the table that has it."""
    key = str(path[-1])
    table = form.tables[str(path[0])] if len(path) > 1 else form.schema
    near = nearest(key, table.model_fields)
    if near:
        return f"unknown key. Did you mean {literal(near)}?"
    homes = [_heading(name) for name, other in form.tables.items() if key in other.model_fields]
    if homes:
        return f"unknown key here; it is a key of {' and '.join(homes)}"
    return f"unknown key; the keys here are {', '.join(table.model_fields)}"


def _heading(table: str) -> str:
    return f"[[{table}]]" if table in _REPEATED else f"[{table}]"
