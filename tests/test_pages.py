"""Pages that tell of what the code holds: the keys of recipes, results and metrics."""

import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from stepdown import recipe, results
from stepdown.evaluate import MetricName
from stepdown.recipe.schema import (
    CompareSpec,
    DataSpec,
    DistillSpec,
    RungSpec,
    SourceSpec,
    TeacherSpec,
    TransferSpec,
)

DOCS = Path(__file__).parents[1] / "docs"
RECIPE = (DOCS / "recipe.md").read_text(encoding="utf-8")
RESULTS = (DOCS / "results.md").read_text(encoding="utf-8")


def test_the_tables_of_the_recipe_page_are_what_the_schema_says() -> None:
    checked = subprocess.run(
        [sys.executable, str(DOCS / "recipe.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("heading", "spec"),
    [
        ("[data]", DataSpec),
        ("[transfer]", TransferSpec),
        ("[teacher]", TeacherSpec),
        ("[distill]", DistillSpec),
        ("[[rungs]]", RungSpec),
        ("[compare]", CompareSpec),
        ("[[sources]]", SourceSpec),
    ],
)
def test_the_recipe_page_names_every_key(heading: str, spec: type) -> None:
    section = RECIPE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    told = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    keys = set(spec.model_fields)  # type: ignore[attr-defined]  # each is a pydantic model
    # A rung takes the keys of [distill] too, which are told there.
    assert keys - (set(DistillSpec.model_fields) if spec is RungSpec else set()) <= told


def test_the_recipe_that_the_page_shows_is_one(tmp_path: Path) -> None:
    shown = tomllib.loads(RECIPE.split("```toml\n")[1].split("```")[0])
    (tmp_path / "reviews.csv").write_text("text,label\n", encoding="utf-8")
    shown["data"]["source"] = str(tmp_path / "reviews.csv")
    assert [rung.max_params for rung in recipe.parse(shown).rungs] == [1_000_000, 250_000]


def test_the_results_page_names_every_key_and_metric() -> None:
    told = {word for line in RESULTS.splitlines() if line.startswith("|") for word in line.split("`")[1::2]}
    keys = {field.name for field in fields(results.Results)} - {"schema"}
    assert keys <= told
    assert set(get_args(MetricName)) <= told
