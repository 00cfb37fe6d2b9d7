"""`stepdown evaluate`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import click

from stepdown import assets, compare, data
from stepdown import evaluate as measures
from stepdown.classifiers import Named, named
from stepdown.cli.fetching import Fetching
from stepdown.data.task import Task
from stepdown.errors import DataError


@click.command()
@click.argument("model")
@click.argument("source", metavar="DATA")
@click.option("--against", metavar="MODEL", help="A second model; the verdict is about the first against it.")
@click.option(
    "--text",
    multiple=True,
    metavar="COLUMN",
    help="The column that holds the text; given twice, the two of a pair.  [default: found by its name]",
)
@click.option(
    "--label",
    multiple=True,
    metavar="COLUMN",
    help="The column that holds the label, or one of several that hold 0 and 1.  [default: found by its name]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate(
    model: str, source: str, against: str | None, text: tuple[str, ...], label: tuple[str, ...], as_json: bool
) -> None:
    """Measure MODEL on the labelled rows of DATA.

    MODEL is a bundle, the name of a model that comes with stepdown (sentiment), a model folder, or a hub id.
    """
    with Fetching() as fetching, assets.following(progress=fetching.tell):
        opened = named(model)
        other = None if against is None else named(against)
        split, rows, task = data.labelled_split(source, opened.label_names, text, label, kind=opened.task)
    if task.is_pair != opened.is_pair:
        reads, holds = (
            "pairs of texts" if pair else "single texts" for pair in (opened.is_pair, task.is_pair)
        )
        raise DataError(f"{model} reads {reads}, but {source} holds {holds}. Name its columns with --text.")
    said = measures.Said(opened.ask(rows.texts), opened.calibration)
    found = measures.measure(task, said, rows.labels)
    metrics = {name: dataclasses.asdict(one) for name, one in found.items()}
    document: dict[str, object] = {"model": model, "data": source, "split": split, "metrics": metrics}
    width = max(map(len, metrics), default=0)
    lines = [
        f"{name:<{width}} {one['value']:.4f}  ({one['low']:.4f} to {one['high']:.4f}, n = {one['n']:,})"
        for name, one in metrics.items()
    ]
    if other is not None:
        verdict = _verdict(opened, task, said, other, rows)
        document["comparison"] = dataclasses.asdict(verdict)
        lines.append(compare.sentence(verdict))
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else "\n".join(lines))


def _verdict(
    model: Named, task: Task, said: measures.Said, against: Named, rows: data.Split
) -> compare.Comparison:
    is_same = (against.task, against.is_pair) == (model.task, model.is_pair)
    # What a regression calls its number does not matter.
    if not is_same or (model.task != "regression" and set(against.label_names) != set(model.label_names)):
        raise DataError(
            f"{against.name} is for {_told(against)}, but {model.name} is for {_told(model)}. "
            "Two models are compared on the same task and labels."
        )
    outputs, calibration = against.ask(rows.texts), against.calibration
    if model.task != "regression":
        order = [against.label_names.index(name) for name in model.label_names]
        outputs = outputs[:, order]
        thresholds = calibration.thresholds
        calibration = replace(
            calibration, thresholds=tuple(thresholds[at] for at in order) if thresholds else None
        )
    other = measures.Said(outputs, calibration)
    mine, others = (measures.by_text(task, one, rows.labels)[None] for one in (said, other))
    pair = compare.Pair("model", against.name, model.name, others, mine)
    return compare.compare([pair], measures.PRIMARY[task.kind])[0]


def _told(model: Named) -> str:
    pairs = " of pairs of texts" if model.is_pair else ""
    if model.task == "regression":
        return f"a number{pairs}"
    kind = "one of the labels" if model.task == "single-label" else "any of the labels"
    return f"{kind}{pairs} {', '.join(model.label_names)}"
