"""`stepdown evaluate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from stepdown import assets, compare, data
from stepdown import evaluate as measures
from stepdown.cli.progress import Fetching
from stepdown.data.dataset import Task
from stepdown.errors import DataError
from stepdown.ladder.finished import calibration_in
from stepdown.outputs import UNCALIBRATED, Calibration
from stepdown.runtime import Classifier
from stepdown.runtime.inputs import as_given
from stepdown.runtime.shipped import shipped
from stepdown.students import saved
from stepdown.students.model import logits
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class _Opened:
    """A model to be measured.

    Attributes:
        name: as the user calls it.
        label_names: in the order of its outputs.
        task: what they are.
        is_pair: whether it reads pairs of texts.
        ask: outputs [n, outputs] of texts.
        calibration: of a bundle, and of a cell of a run; of other models there is none.
    """

    name: str
    label_names: tuple[str, ...]
    task: TaskKind
    is_pair: bool
    ask: Callable[[Sequence[str]], np.ndarray]
    calibration: Calibration = UNCALIBRATED


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
        opened = _open(model)
        other = None if against is None else _open(against)
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
    model: _Opened, task: Task, said: measures.Said, against: _Opened, rows: data.Split
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


def _told(model: _Opened) -> str:
    pairs = " of pairs of texts" if model.is_pair else ""
    if model.task == "regression":
        return f"a number{pairs}"
    kind = "one of the labels" if model.task == "single-label" else "any of the labels"
    return f"{kind}{pairs} {', '.join(model.label_names)}"


def _open(name: str) -> _Opened:
    """A shipped model, a bundle, a model folder or a hub id."""
    path = Path(name)
    is_model = saved.family_in(path) is not None or (path / "config.json").is_file()
    if path.is_file() or (path / "bundle.json").is_file() or (name in shipped() and not is_model):
        packed = Classifier.load(name)

        def ask(texts: Sequence[str]) -> np.ndarray:
            return packed.logits(as_given(texts, is_pair=packed.is_pair))

        return _Opened(name, packed.label_names, packed.task, packed.is_pair, ask, packed.about.calibration)
    model = saved.load(path if saved.family_in(path) else assets.model(name))
    return _Opened(
        name,
        model.label_names,
        model.task,
        model.is_pair,
        lambda texts: logits(model, model.encode(texts)),
        calibration_in(path),
    )
