"""The README of a bundle: what the model is, how good it is and how that is known, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stepdown.evaluate import TITLES
from stepdown.report.content import Content, content, gold_epochs, passes, spending
from stepdown.report.figures import count, figure, interval, percent, size
from stepdown.report.markdown import escape
from stepdown.report.trust import trust
from stepdown.results import Cell, Results, parse
from stepdown.runtime import Source
from stepdown.tasks import TaskKind

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
        task: what it answers.
        is_pair: it reads pairs of texts.
    """

    bytes: int
    sources: tuple[Source, ...] = ()
    use: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()
    task: TaskKind = "single-label"
    is_pair: bool = False


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
    asked, given = ('"…" "…"', '("…", "…")') if packed.is_pair else ('"…"', '"…"')
    yield from (f"# {escape(told.title)}", "", escape(told.headline), "")
    yield from ("## Use", "", "```sh", f"stepdown predict THIS_FOLDER {asked}", "```", "")
    yield from ("```python", "import stepdown", "", 'model = stepdown.Classifier.load("THIS_FOLDER")')
    yield from (f"print(model.predict([{given}]))", "```", "")
    yield from (_answers(told.label_names, packed.task), "")
    for sentence in packed.use:
        yield from (escape(sentence), "")
    yield from ("## How good it is", "")
    yield from _measured(run, student)
    yield from (f"- {escape(sentence)}" for sentence in (*packed.quality, *told.warnings))
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


def _measured(run: Results, student: Cell) -> Iterator[str]:
    alike = [cell for cell in run.cells if (cell.position, cell.arm) == (student.position, student.arm)]
    metric, title = run.metric, TITLES[run.metric]
    own = interval(student.metrics[metric], metric)
    yield f"- {title[0].upper()}{title[1:]} on {run.data.report:,} texts kept aside: {own}, 95% interval."
    if len(alike) > 1:
        mean = figure(sum(cell.metrics[metric].value for cell in alike) / len(alike), metric)
        best = max(cell.selection_metrics[metric].value for cell in alike)
        is_best = student.selection_metrics[metric].value == best
        chosen = " This one did best on the selection texts." if is_best else ""
        yield f"- Mean over {len(alike)} seeds trained alike: {mean}.{chosen}"
    if "macro_f1" in student.metrics:
        yield f"- Macro F1: {percent(student.metrics['macro_f1'].value)}."
    if "agreement" in student.metrics:
        yield f"- It says what its teacher says on {interval(student.metrics['agreement'])} of them."
    yield from (f"- {escape(sentence)}" for sentence in trust(student, "these texts"))


def _answers(label_names: tuple[str, ...], task: TaskKind) -> str:
    names, count = ", ".join(map(escape, label_names)), len(label_names)
    if task == "regression":
        return f"It answers with a number: {names}."
    if task == "multi-label":
        return f"It answers with those of {count} labels that apply, which may be none or several: {names}."
    return f"It answers with one of {count} labels: {names}."
