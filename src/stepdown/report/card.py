"""The README of a model: what it is, how to run it, how good it is and how that is known.

It is a model card as the Hugging Face hub reads it: a block of metadata for programs (`metadata`), and Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stepdown.compare import sentence
from stepdown.report import judged, usage
from stepdown.report.content import Content, content, gold_epochs, passes
from stepdown.report.figures import clean, count, interval, size
from stepdown.report.front_matter import front_matter
from stepdown.report.markdown import escape, table
from stepdown.report.metadata import Kind, Origin, concerning, licence, metadata, row_of
from stepdown.report.spending import spending
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
    """What a card must know of a model that results do not tell.

    Attributes:
        bytes: of network and tokenizer as they are packed.
        sources: what it was made from.
        use: sentences on how it reads texts.
        quality: sentences on how it differs from the trained model.
        task: what it answers.
        is_pair: it reads pairs of texts.
        weights: what they are stored as.
        transformer: its type, such as "bert", if it is packed in Hugging Face's layout; None for a bundle.
        tags: for those who search, beside the usual ones.
        origin: where it comes from, as far as a hub has it.
        licence: an SPDX identifier; None for what its sources say together.
        languages: codes of ISO 639; none if that is not known.
    """

    bytes: int
    sources: tuple[Source, ...] = ()
    use: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()
    task: TaskKind = "single-label"
    is_pair: bool = False
    weights: str = "float32"
    transformer: str | None = None
    tags: tuple[str, ...] = ()
    origin: Origin = field(default_factory=Origin)
    licence: str | None = None
    languages: tuple[str, ...] = ()


def card(results: Mapping[str, Any] | Results, packed: Packed | None = None) -> str:
    """The text of a model's README.md.

    It quotes the accuracy of the very model, and beside it the mean over seeds, because a bundle is picked among
    seeds and the mean is what another training would be expected to reach.

    Args:
        results: the dict of a `results.json`; the bundle need not be packed yet.
        packed: the bundle, or the model in Hugging Face's layout; None for a bundle of a model as it was trained.

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
    kind = Kind(
        "transformers" if packed.transformer else "stepdown",
        packed.task,
        (packed.transformer or "onnx", *packed.tags, *(("text-pairs",) if packed.is_pair else ())),
        packed.weights,
    )
    stated = licence(packed.sources, packed.licence)
    told = front_matter(metadata(run, student, kind, packed.origin, stated, packed.languages))
    lines = _lines(run, student, content(replace(run, rungs=tuple(rungs))), packed)
    return "\n".join((told, *lines)) + "\n"


def _lines(run: Results, student: Cell, told: Content, packed: Packed) -> Iterator[str]:
    yield from (f"# {escape(told.title)}", "", escape(_headline(student, told, packed)), "", "## Use", "")
    if packed.transformer:
        ours = packed.transformer == "bert_hash"
        yield from usage.of_transformer(packed.task, is_pair=packed.is_pair, is_ours=ours)
    else:
        yield from usage.of_bundle(is_pair=packed.is_pair)
    yield from (_answers(told.label_names, packed.task), "")
    for line in packed.use:
        yield from (escape(line), "")
    yield from ("## How good it is", "")
    yield from _measured(run, student)
    yield from (f"- {escape(line)}" for line in packed.quality)
    yield from ("", "## The ladder", "", *_ladder(run, student, told), "")
    yield from (escape(told.caption), "", "## Limits", "")
    yield from (f"- {escape(line)}" for line in (*_limits(packed), *told.warnings))
    yield from ("", "## How it was made", "")
    yield f"- What it is: {escape(student.model)}, {count(student.params)} parameters, {size(packed.bytes)}."
    if student.spent:
        yield f"- {escape(spending(student.position, student.model, student.spent))}"
    if student.kind == "rung":
        teacher = run.cells[0]
        size_of_it = f", {count(teacher.params)} parameters" if teacher.params else ""
        yield f"- Its teacher: {escape(teacher.model)}{size_of_it}."
        yield from (
            f"- One of them: {escape(one.model)}, {count(one.params)} parameters." for one in run.members
        )
    if student.arm:
        yield f"- {TAUGHT[student.arm]}"
    last = gold_epochs(run, student.position) if student.arm != "direct" else 0
    if last:
        yield f"- Then it learnt from the labels alone, in {passes(last)} over the labelled texts."
    # A card leaves the machine: of a file only its name.
    yield from (f"- {escape(_FOLDERS.sub('', line))}" for line in told.sections["Data"])
    yield f"- Made with stepdown {escape(run.environment.stepdown)}; the run's recipe.toml makes it again."
    if packed.sources:
        yield from ("", "## What it was made from", "")
        for source in packed.sources:
            yield f"- {escape(source.role)}: {escape(source.name)} (licence: {escape(source.licence)})"
    yield from ("", "## Licence", "", escape(_licence(packed)))


def _headline(student: Cell, told: Content, packed: Packed) -> str:
    if student.kind == "rung":
        return told.headline
    what = f"{clean(student.model)}, {count(student.params)} parameters in {size(packed.bytes)}"
    return f"The teacher of a ladder of smaller models, which are told of below: {what}."


# Of the table of a report, what says how one model stands among the others.
_SHOWN = ("rung", "model", "arm", "parameters", "size", "primary", "kept")


def _ladder(run: Results, student: Cell, told: Content) -> Iterator[str]:
    """The table of rungs, in which the model's own row is marked."""
    rows = []
    for rung, line in zip(run.rungs, told.lines, strict=True):
        cells = [getattr(line, column) for column in _SHOWN]
        if (rung.position, rung.arm) == (student.position, student.arm):
            cells[0] += " (this model)"
        rows.append(cells)
    return table([getattr(told.headings, column) for column in _SHOWN], rows)


def _limits(packed: Packed) -> Iterator[str]:
    if packed.task == "single-label":
        yield "It always answers with one of its labels, also where none of them fits."
    yield (
        "Its figures are about texts like those that it was measured on. How it does on others, and whether it treats "
        "people alike, was not measured."
    )
    if not packed.languages:
        yield "It was not recorded which language it reads: that of the data named below."


def _licence(packed: Packed) -> str:
    stated = licence(packed.sources, packed.licence)
    if packed.licence:
        return f"{packed.licence}."
    if stated["license"] == "unknown":
        return (
            "Not stated: no licence is known of some of what it was made from. Whoever passes it on should find out "
            "what that allows."
        )
    if "license_name" in stated and len({source.licence for source in packed.sources}) > 1:
        return "Not stated: its sources have different licences, and whoever passes it on has to follow all of them."
    return f"{packed.sources[0].licence}, as all that it was made from."


def _measured(run: Results, student: Cell) -> Iterator[str]:
    metric, title, row = run.metric, judged.title(run), row_of(run, student)
    if metric in student.metrics:
        own = interval(student.metrics[metric], metric)
        yield f"- {title[0].upper()}{title[1:]} on {run.data.report:,} texts kept aside: {own}, 95% interval."
    if row is not None and row.seeds > 1:
        alike = [cell for cell in run.cells if (cell.position, cell.arm) == (student.position, student.arm)]
        chosen_by = run.selection_metric or metric
        best = max(cell.selection_metrics[chosen_by].value for cell in alike)
        is_best = student.selection_metrics[chosen_by].value == best
        chosen = " This one did best on the selection texts." if is_best else ""
        yield f"- Mean over {row.seeds} seeds trained alike: {interval(row.metrics[metric], metric)}.{chosen}"
    if "macro_f1" in student.metrics:
        yield f"- Macro F1: {interval(student.metrics['macro_f1'])}."
    if "agreement" in student.metrics and metric != "agreement":
        yield f"- It says what its teacher says on {interval(student.metrics['agreement'])} of them."
    yield from (f"- {escape(sentence)}" for sentence in trust(student, "these texts"))
    if row is not None:
        yield from (f"- Compared: {escape(clean(sentence(one)))}." for one in concerning(run, row))


def _answers(label_names: tuple[str, ...], task: TaskKind) -> str:
    names, count = ", ".join(map(escape, label_names)), len(label_names)
    if task == "regression":
        return f"It answers with a number: {names}."
    if task == "multi-label":
        return f"It answers with those of {count} labels that apply, which may be none or several: {names}."
    return f"It answers with one of {count} labels: {names}."
