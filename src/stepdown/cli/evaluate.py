"""`stepdown evaluate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np

from stepdown import assets, compare, data
from stepdown import evaluate as measures
from stepdown.cli.progress import Fetching
from stepdown.errors import DataError
from stepdown.runtime import Classifier
from stepdown.runtime.shipped import shipped
from stepdown.students import saved
from stepdown.students.model import logits

Asked = Callable[[Sequence[str]], np.ndarray]
Opened = tuple[tuple[str, ...], Asked]


@click.command()
@click.argument("model")
@click.argument("source", metavar="DATA")
@click.option("--against", metavar="MODEL", help="A second model; the verdict is about the first against it.")
@click.option("--text", help="The column that holds the text.  [default: found by its name]")
@click.option("--label", help="The column that holds the label.  [default: found by its name]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate(
    model: str, source: str, against: str | None, text: str | None, label: str | None, as_json: bool
) -> None:
    """Measure MODEL on the labelled rows of DATA.

    MODEL is a bundle, the name of a model that comes with stepdown (sentiment), a model folder, or a hub id.
    """
    with Fetching() as fetching, assets.following(progress=fetching.tell):
        names, ask = _open(model)
        other = None if against is None else _open(against)
        split, rows = data.labelled_split(source, names, [text] if text else (), [label] if label else ())
    said = ask(rows.texts)
    metrics = {name: dataclasses.asdict(one) for name, one in measures.measure(said, rows.labels).items()}
    document: dict[str, object] = {"model": model, "data": source, "split": split, "metrics": metrics}
    lines = [
        f"{name:<9} {one['value']:.4f}  ({one['low']:.4f} to {one['high']:.4f}, n = {one['n']:,})"
        for name, one in metrics.items()
    ]
    if against is not None and other is not None:
        verdict = _verdict(model, names, said, against, other, rows)
        document["comparison"] = dataclasses.asdict(verdict)
        lines.append(compare.sentence(verdict))
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else "\n".join(lines))


def _verdict(
    model: str, names: Sequence[str], said: np.ndarray, against: str, opened: Opened, rows: data.Split
) -> compare.Comparison:
    other_names, ask = opened
    if set(other_names) != set(names):
        raise DataError(
            f"{against} knows the labels {', '.join(other_names)}, but {model} knows {', '.join(names)}. "
            "Two models are compared on the same labels."
        )
    other = ask(rows.texts)[:, [other_names.index(name) for name in names]]
    right, other_right = (measures.correct(one, rows.labels)[None] for one in (said, other))
    return compare.compare([compare.Pair("model", against, model, other_right, right)])[0]


def _open(name: str) -> Opened:
    """Label names and logits of a shipped model, a bundle, a model folder or a hub id."""
    path = Path(name)
    is_model = saved.family_in(path) is not None or (path / "config.json").is_file()
    if path.is_file() or (path / "bundle.json").is_file() or (name in shipped() and not is_model):
        classifier = Classifier.load(name)
        return tuple(classifier.label_names), classifier.logits
    model = saved.load(path if saved.family_in(path) else assets.model(name))
    return model.label_names, lambda texts: logits(model, model.encode(texts))
