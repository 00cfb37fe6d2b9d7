"""The README of a bundle: what the model is, how good it is and how that is known, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stepdown.evaluate import TITLES
from stepdown.report.content import (
    Content,
    content,
    count,
    figure,
    gold_epochs,
    interval,
    passes,
    percent,
    size,
    spending,
)
from stepdown.report.markdown import escape
from stepdown.results import Cell, Results, parse
from stepdown.runtime import Source

_FOLDERS = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[/\\\\](?:[^/\\\\\s:]+[/\\\\])+")

TAUGHT = {
    "direct": "It learnt from the labels alone.",
    "one-hop": "It learnt from the teacher's soft labels.",
    "chain": "It learnt from the soft labels of the rung above it.",
    "dense": "It learnt from the soft labels of the teacher and of all rungs above it together.",
}


@dataclass(frozen=True)
class Packed:
    """What a card must know of the bundle that results do not tell.

    Attributes:
        bytes: of network and tokenizer as they are packed.
        sources: what it was made from.
        use: sentences on how it reads texts.
        quality: sentences on how it differs from the trained model.
    """

    bytes: int
    sources: tuple[Source, ...] = ()
    use: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()


def card(results: Mapping[str, Any] | Results, packed: Packed | None = None) -> str:
    """The text of the bundle's README.md.

    It quotes the accuracy of the very model in the bundle, and beside it the mean over seeds, because the
    bundle was picked among seeds and the mean is what another training would be expected to reach.

    Args:
        results: the dict of a `results.json`; the bundle need not be packed yet.
        packed: the bundle; None for a model as it was trained.

    Raises:
        InputError: the dict does not follow the schema.
    """
    run = parse(results)
    student = next(cell for cell in (*run.cells, *run.members) if cell.id == run.summary.bundle_cell)
    packed = packed or Packed(student.bytes)
    # The headline speaks of the rung, of which this is one.
    rungs = [
        replace(rung, bytes=packed.bytes)
        if (rung.position, rung.arm) == (student.position, student.arm)
        else rung
        for rung in run.rungs
    ]
    return "\n".join(_lines(run, student, content(replace(run, rungs=tuple(rungs))), packed)) + "\n"


def _lines(run: Results, student: Cell, told: Content, packed: Packed) -> Iterator[str]:
    teacher = run.cells[0]
    names = ", ".join(escape(name) for name in told.label_names)
    yield from (f"# {escape(told.title)}", "", escape(told.headline), "")
    yield from ("## Use", "", "```sh", 'stepdown predict THIS_FOLDER "…"', "```", "")
    yield from ("```python", "import stepdown", "", 'model = stepdown.Classifier.load("THIS_FOLDER")')
    yield from ('print(model.predict(["…"]))', "```", "")
    yield from (f"It answers with one of {len(told.label_names)} labels: {names}.", "")
    for sentence in packed.use:
        yield from (escape(sentence), "")
    yield from ("## How good it is", "")
    title = TITLES[run.metric]
    found = interval(run.summary.accuracy, run.metric)
    yield f"- {title[0].upper()}{title[1:]} on {run.data.report:,} texts kept aside: {found}, 95% interval."
    seeds = sum((cell.position, cell.arm) == (student.position, student.arm) for cell in run.cells)
    if seeds > 1:
        mean = figure(run.summary.mean_accuracy_over_seeds, run.metric)
        yield f"- Mean over {seeds} seeds trained alike: {mean}. This one did best on the selection texts."
    if "macro_f1" in student.metrics:
        yield f"- Macro F1: {percent(student.metrics['macro_f1'].value)}."
    if "agreement" in student.metrics:
        yield f"- It says what its teacher says on {interval(student.metrics['agreement'])} of them."
    yield from (f"- {escape(sentence)}" for sentence in packed.quality)
    yield from (f"- {escape(warning)}" for warning in told.warnings)
    yield from ("", "## How it was made", "")
    yield f"- What it is: {escape(student.model)}, {count(student.params)} parameters, {size(packed.bytes)}."
    if student.spent:
        yield f"- {escape(spending(student.position, student.model, student.spent))}"
    yield f"- Its teacher: {escape(teacher.model)}, {count(teacher.params)} parameters."
    yield from (f"- One of them: {escape(one.model)}, {count(one.params)} parameters." for one in run.members)
    if student.arm:
        yield f"- {TAUGHT[student.arm]}"
    last = gold_epochs(run, student.position) if student.arm != "direct" else 0
    if last:
        yield f"- Then it learnt from the labels alone, in {passes(last)} over the labelled texts."
    # A card leaves the machine: of a file only its name.
    yield from (f"- {escape(_FOLDERS.sub('', sentence))}" for sentence in told.sections["Data"])
    yield f"- Made with stepdown {escape(run.environment.stepdown)}; the run's recipe.toml makes it again."
    if packed.sources:
        yield from ("", "## What it was made from", "")
        for source in packed.sources:
            yield f"- {escape(source.role)}: {escape(source.name)} (licence: {escape(source.licence)})"
