"""Fills in the tables of docs/recipe.md from the recipe's own schema.

python docs/recipe.py            # writes them
python docs/recipe.py --check    # exit code 1 where they are not what the schema says
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from stepdown.recipe.schema import (
    CompareSpec,
    DataSpec,
    DistillSpec,
    RungSpec,
    SourceSpec,
    TeacherSpec,
    TransferSpec,
)
from stepdown.recipe.settings import DEFAULTS
from stepdown.recipe.template import DATA, DISTILL, TEACHER, TRAINING, TRANSFER, written

PAGE = Path(__file__).with_name("recipe.md")

RUNGS = {
    "model": "what it is: the table in README.md",
    "max_params": "the budget of `compact` and `bag`, never exceeded, embeddings included",
    "max_bytes": "the same in bytes, tokenizer included, in place of max_params",
    "max_length": "longer texts are cut to so many tokens by this rung",
    "core": "what a `compact` student reads with: a GRU in both directions, one in a single direction, which is "
    "faster, or gated convolutions, which learn at 8e-3 by default",
    "hidden": "its size, units of a GRU (in each direction) or channels of a convolution: fewer are faster, and leave "
    "more of the budget to words",
}
COMPARE = {"arms": "ways to train the last rung", "seeds": "times that each is trained"}
SOURCES = {
    "name": "of what the bundle is made from",
    "role": "of it",
    "licence": "of it",
}


def tables() -> Mapping[str, list[str]]:
    """Name of a marker on the page → the lines of the table below it."""
    return {
        "data": _table(DATA, DataSpec),
        "transfer": _table(TRANSFER, TransferSpec),
        "teacher": _table(TEACHER, TeacherSpec),
        "distill": _table(DISTILL, DistillSpec),
        "rungs": _table(RUNGS, RungSpec),
        "training": _training(),
        "compare": _table(COMPARE, CompareSpec),
        "sources": _table(SOURCES, SourceSpec),
    }


def filled(page: str) -> str:
    """The page with the lines between `<!-- keys: NAME -->` and `<!-- end -->` as they should be."""
    for name, lines in tables().items():
        before, marker, rest = page.partition(f"<!-- keys: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not end:
            raise SystemExit(f"{PAGE.name} has no place for the keys of {name}")
        page = before + marker + "".join(f"{line}\n" for line in lines) + end + after
    return page


def _table(meanings: Mapping[str, str], spec: type[BaseModel]) -> list[str]:
    rows = []
    for key, says in meanings.items():
        field = spec.model_fields[key]
        default = "required" if field.default is PydanticUndefined else _default(field.default)
        rows.append((f"`{key}`", says, field.description or "", default))
    return _rows(("key", "meaning", "takes", "default"), rows)


def _training() -> list[str]:
    """How each kind of rung is trained by default."""
    kinds = [asdict(training) for training in DEFAULTS.values()]
    rows = [
        (
            f"`{key}`",
            says,
            RungSpec.model_fields[key].description or "",
            *(_default(kind[key]) for kind in kinds),
        )
        for key, says in TRAINING.items()
    ]
    names = {"huggingface": "hub id, folder", "teacher-layers": "teacher:N"}
    return _rows(("key", "meaning", "takes", *(names.get(kind, kind) for kind in DEFAULTS)), rows)


def _default(value: object) -> str:
    # What "if absent" or "leave it out" in the other columns speaks of.
    return "" if value is None or value == () else f"`{written(value)}`"


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = tuple(head)
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body]


def main() -> None:
    """Writes the page, or checks it."""
    now = PAGE.read_text(encoding="utf-8")
    then = filled(now)
    if "--check" in sys.argv[1:]:
        raise SystemExit(
            f"{PAGE.name} is not what the schema says: run python docs/recipe.py" if now != then else 0
        )
    PAGE.write_text(then, encoding="utf-8")


if __name__ == "__main__":
    main()
