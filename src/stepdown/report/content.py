"""What a report says, before it is laid out: every number as a person reads it, every finding as a sentence.

`terminal`, `markdown` and `html` show this and add nothing but their own marks. Text that came from the user
(names of models, labels, the run) is in here as it is, less control characters; each layout escapes it for
its own syntax.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stepdown.compare import MIN_SEEDS, Comparison, sentence
from stepdown.evaluate import SHARES, MetricName
from stepdown.report import judged
from stepdown.report.cautions import cautions
from stepdown.report.figures import (
    NONE,
    clean,
    count,
    figure,
    interval,
    name,
    percent,
    rank,
    short,
    size,
    times,
)
from stepdown.report.spending import budgets
from stepdown.report.trust import trust
from stepdown.results import Results, Rung

SHOWN_LABELS = 8

MIND = "Mind"
"""Heading of what should make a reader careful."""


@dataclass(frozen=True)
class Line:
    """One row of the table of rungs, as text; the fields are its columns, in order."""

    rung: str
    model: str
    arm: str
    parameters: str
    size: str
    primary: str
    agreement: str
    time: str
    smaller: str
    faster: str
    kept: str


def headings(title: str) -> Line:
    """What stands above the columns, where the primary metric is called so."""
    return Line(
        rung="rung",
        model="model",
        arm="arm",
        parameters="parameters",
        size="size",
        primary=f"{title} (95% interval)",
        agreement="as teacher",
        time="ms/text",
        smaller="smaller",
        faster="faster",
        kept="kept",
    )


def legend(title: str) -> str:
    """What the columns mean, where the primary metric is called so."""
    return (
        "as teacher: texts on which the model says what the teacher says. smaller: parameters of the teacher "
        f"over its own. faster: time per text of the teacher over its own. kept: {title} over the teacher's."
    )


@dataclass(frozen=True)
class Content:
    """A report in words.

    Attributes:
        title: name of the run.
        headline: the student in one sentence.
        label_names: all of them.
        headings: of the table's columns.
        lines: the table of rungs, top first.
        caption: what the intervals of the table allow for.
        legend: what the columns of the table mean.
        sections: heading → sentences, none of them empty.
        bundle: its path, or None.
        command: the line that tries the bundle, or None.
        advice: what to do next for accuracy.
    """

    title: str
    headline: str
    label_names: tuple[str, ...]
    headings: Line
    lines: tuple[Line, ...]
    caption: str
    legend: str
    sections: dict[str, tuple[str, ...]]
    bundle: str | None
    command: str | None
    advice: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should make a reader careful; may be empty."""
        return self.sections.get(MIND, ())


def content(results: Results) -> Content:
    """Everything a report says about a run."""
    bundle, title = results.bundle, judged.title(results)
    sections = {
        "Which way of teaching": (*_arms(results.comparisons), *_last_passes(results)),
        "Against the teacher": (*_members(results), *_rungs(results.comparisons), *_points(results)),
        MIND: cautions(results),
        "How far to trust its scores": _trust(results),
        "What the budgets were spent on": budgets(results),
        "What the models began with": tuple(map(clean, judged.begun(results))),
        "Data": _data(results),
        "Cost": _cost(results),
    }
    return Content(
        title=clean(str(results.recipe.get("name") or "run")),
        headline=_headline(results),
        label_names=tuple(clean(label) for label in results.data.label_names),
        headings=headings(title),
        lines=tuple(_line(row, results.metric) for row in results.rungs),
        caption=_caption(results.rungs),
        legend=legend(title),
        sections={heading: sentences for heading, sentences in sections.items() if sentences},
        bundle=clean(bundle) if bundle else None,
        command=_command(results),
        advice=_advice(results),
    )


def _command(results: Results) -> str | None:
    """The line that tries the bundle; a pair is given as two texts."""
    if not results.bundle:
        return None
    columns = (results.recipe.get("data") or {}).get("text") or ()
    texts = '"…" "…"' if not isinstance(columns, str) and len(columns) == 2 else '"…"'
    return f"stepdown predict {clean(shlex.quote(results.bundle))} {texts}"


def _advice(results: Results) -> str:
    facts = results.data.transfer_facts
    unlabeled = sum(source.kept for source in facts.sources) if facts else 0
    more = f"more unlabelled text of the same kind than these {unlabeled:,} texts" if unlabeled else ""
    for_it = "with the teacher's scores of it" if judged.is_absent(results) else "for the teacher to label"
    return (
        f"What would raise {judged.title(results)} most is {more or 'unlabelled text of the same kind'}, {for_it}: "
        "name it in the recipe under [transfer] as unlabeled."
    )


def _line(row: Rung, metric: MetricName) -> Line:
    metrics = row.metrics
    agreement, time = metrics.get("agreement"), metrics.get("ms_per_text")
    # The teacher beside itself: 1× and 100% would say nothing.
    below = row.kind == "rung"
    return Line(
        rung=rank(row),
        model=name(row),
        arm=row.arm or NONE,
        parameters=count(row.params) if row.params else NONE,
        size=size(row.bytes) if row.bytes else NONE,
        primary=interval(metrics[metric], metric) if metric in metrics else NONE,
        # Where it is the primary metric it stands beside it.
        agreement=percent(agreement.value) if below and agreement and metric != "agreement" else NONE,
        time=short(time.value) if time else NONE,
        smaller=times(row.times_smaller) if below else NONE,
        faster=times(row.times_faster) if below else NONE,
        kept=percent(row.accuracy_kept) if below and row.accuracy_kept is not None else NONE,
    )


def _headline(results: Results) -> str:
    student = {(c.position, c.arm) for c in results.cells if c.id == results.summary.bundle_cell}
    row = next((row for row in results.rungs if (row.position, row.arm) in student), None)
    if row is None or row.kind == "teacher":
        return "No student was trained."
    said = f"The student ({name(row)}) has {count(row.params)} parameters in {size(row.bytes)}"
    ratios = [
        f"{times(ratio)} {word}"
        for ratio, word in ((row.times_smaller, "smaller"), (row.times_faster, "faster"))
        if ratio is not None
    ]
    if ratios:
        said += f", {' and '.join(ratios)} than the teacher"
    metric = results.metric
    top = results.rungs[0].metrics.get(metric)
    if row.accuracy_kept is not None and top:
        mine, its = (figure(one.value, metric) for one in (row.metrics[metric], top))
        what = judged.title(results).replace("Pearson's", "Pearson")
        whose = "its" if ratios else "its teacher's"
        said += f", and keeps {percent(row.accuracy_kept)} of {whose} {what} ({mine} against {its})"
    elif metric == "agreement" and metric in row.metrics:
        said += f", and agrees with its teacher on {figure(row.metrics[metric].value, metric)} of the texts"
    elif metric in row.metrics:
        said += f", and reaches {figure(row.metrics[metric].value, metric)} of {judged.title(results)}"
    return said + "."


def _caption(rows: Sequence[Rung]) -> str:
    seeds = sorted({row.seeds for row in rows if row.kind == "rung"})
    if not seeds:
        return "The interval allows for the choice of texts."
    if seeds[0] < MIN_SEEDS:
        many = "1 seed" if seeds[-1] == 1 else f"Means over {seeds[-1]} seeds"
        return f"{many}: intervals allow for the choice of texts, not for the luck of training."
    return (
        f"Means over {seeds[-1]} seeds: intervals allow for the choice of texts and for the luck of training."
    )


def _arms(comparisons: Iterable[Comparison]) -> tuple[str, ...]:
    arms = [c for c in comparisons if c.kind == "arm"]
    if not arms:
        return ()
    shown = [f"{c.b} is {c.verdict} than {c.a}" for c in arms if c.verdict != "no difference shown"]
    brief = "Shown: " + "; ".join(shown) + "." if shown else "No arm is shown to differ from another."
    return (brief, *(clean(sentence(c)) + "." for c in arms))


def _members(results: Results) -> tuple[str, ...]:
    """Of several teachers, each by itself."""
    if not results.members:
        return ()
    mean = f"The teacher is the mean of {len(results.members)} models."
    if not all(results.metric in member.metrics for member in results.members):
        return (mean,)
    each = "; ".join(
        f"{clean(member.model)} ({count(member.params)}) "
        f"{figure(member.metrics[results.metric].value, results.metric)}"
        for member in results.members
    )
    return (f"{mean} The {judged.title(results)} of each alone: {each}.",)


def _points(results: Results) -> tuple[str, ...]:
    """What a point is, where the metric is no share of texts."""
    if results.metric in SHARES or not results.comparisons:
        return ()
    return (f"A point is a hundredth of {judged.title(results)}.",)


def _last_passes(results: Results) -> tuple[str, ...]:
    """Which rungs turned to the labels after distillation."""
    taught = sorted({cell.position for cell in results.cells if cell.kind == "rung" and cell.teachers})
    said = [f"rung {p}: {passes(gold_epochs(results, p))}" for p in taught if gold_epochs(results, p)]
    if not said:
        return ()
    direct = any(cell.arm == "direct" for cell in results.cells)
    ignored = " direct makes none: it learns from nothing else." if direct else ""
    return (f"Distillation was followed by passes over the labels alone ({'; '.join(said)}).{ignored}",)


def gold_epochs(results: Results, position: int) -> int:
    """Passes over the labelled texts that follow a rung's distillation."""
    rungs = results.recipe.get("rungs", ())
    own = rungs[position - 1].get("gold_epochs") if 0 < position <= len(rungs) else 0
    return int((results.recipe.get("distill") or {}).get("gold_epochs") or 0) if own is None else int(own)


def passes(count: int) -> str:
    """1 pass, 2 passes."""
    return "1 pass" if count == 1 else f"{count} passes"


def _rungs(comparisons: Iterable[Comparison]) -> tuple[str, ...]:
    rungs = tuple(clean(sentence(c)) + "." for c in comparisons if c.kind == "rung")
    return (*rungs, "All seeds share one teacher: this is about it alone.") if rungs else ()


def _data(results: Results) -> tuple[str, ...]:
    data, facts = results.data, results.data.facts
    names = [clean(label) for label in data.label_names]
    shown = ", ".join(names[:SHOWN_LABELS])
    if len(names) > SHOWN_LABELS:
        shown += f" and {len(names) - SHOWN_LABELS} more"
    sources = data.transfer_facts.sources if data.transfer_facts else ()
    removed = facts.removed.equal + facts.removed.overlapping + facts.removed.selection_in_report
    without = ", none of them labelled" if data.labelled == 0 else ""
    return (
        f"{data.train:,} training texts{without}, {data.selection:,} to select on, {data.report:,} to report on; "
        f"{data.transfer:,} texts to learn from, labelled or not.",
        _answers(results, shown),
        f"Removed because they overlap selection or report texts: {removed:,} labelled texts and "
        f"{sum(source.overlapping for source in sources):,} unlabelled ones.",
        *(
            f"Left as it is: {overlap.rows:,} of {overlap.of:,} {clean(overlap.second)} texts share a run of "
            f"words with {clean(overlap.first)} texts."
            for overlap in facts.overlaps
        ),
        *(clean(f"{split}: {found.origin}") for split, found in facts.splits.items()),
        *(clean(note) for note in facts.notes),
    )


def _answers(results: Results, shown: str) -> str:
    """What is said of a text: the labels, or the number and how it lies in what was learnt from."""
    data = results.data
    if data.task != "regression":
        several = ", any number of which may apply to a text" if data.task == "multi-label" else ""
        return f"{len(data.label_names)} labels{several}: {shown}."
    train = data.facts.splits.get("train")
    if train is None or train.values is None:
        return f"A number is predicted: {shown}."
    lie = train.values
    return (
        f"A number is predicted: {shown}, in training texts {lie.least:.4g} to {lie.largest:.4g}, on average "
        f"{lie.mean:.4g} (standard deviation {lie.sd:.4g})."
    )


def _trust(results: Results) -> tuple[str, ...]:
    student = next((cell for cell in results.cells if cell.id == results.summary.bundle_cell), None)
    return trust(student, f"the {results.data.report:,} report texts") if student else ()


def _cost(results: Results) -> tuple[str, ...]:
    summary = results.summary
    spent = f"The whole run took {short(summary.processor_hours)} processor hours."
    if summary.processor_hours_per_million_texts is None:
        return (spent,)
    hours = short(summary.processor_hours_per_million_texts)
    return (spent, f"The student reads a million texts in {hours} processor hours.")
