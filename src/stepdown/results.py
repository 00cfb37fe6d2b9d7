"""What a run leaves for people and programs: the typed schema of `results.json`, and how its rows come about.

    Results
    ├── recipe, environment, data      what went in
    ├── cells                          every trained model, one by one
    ├── members                        of several teachers, each by itself
    ├── rungs                          the table: one row per model and arm, over its seeds
    ├── comparisons                    verdicts, from paired comparisons
    └── summary                        the student against the teacher, and what it cost

The dataclasses are the schema: `schema()` generates JSON Schema from them, and the generated file is shipped
as `report/results.schema.json`. Keys may be added in later versions; none is renamed or removed while
`schema` is 1.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from stepdown.compare import MIN_SEEDS, Comparison, mean_interval, share_interval
from stepdown.data.facts import Facts
from stepdown.errors import InputError
from stepdown.evaluate import SHARES, Answered, Floats, Metric, MetricName
from stepdown.outputs import Calibration
from stepdown.transfer import TransferFacts

Arm = Literal["direct", "one-hop", "chain", "dense"]


@dataclass(frozen=True)
class Environment:
    """Where the run took place.

    Attributes:
        stepdown, python: versions.
        platform: operating system and architecture.
        device: where models were trained: `cpu`, `cuda`.
        precision: of the arithmetic of large models: `float32`, `bfloat16`.
        threads: that the run could use.
        packages: name → version of what the numbers depend on.
        models: name in the recipe → what it was: the commit of a hub's model, else the first digits of the sha256 of
            its files.
        data: data set of a hub → its commit; files of one's own are not among them.
    """

    stepdown: str
    python: str
    platform: str
    device: str
    precision: str
    threads: int
    packages: dict[str, str]
    models: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """The data as they were used.

    Attributes:
        task: kind of task.
        label_names: in the order of logits.
        train, selection, report: labelled texts of each split.
        transfer: texts to learn from, labelled or not.
        facts: what was found in the data, removed from them and left in them.
        transfer_facts: what the transfer set was made of; None where it was not recorded.
        labelled: texts of train with a label; None where it was not recorded, and then all of them have one.
        judged_by: by what models are measured on `selection` and on `report`: by the texts' labels, or, where nobody
            knows these, by what the teacher says of them. Empty where it was not recorded, and then by labels.
    """

    task: str
    label_names: tuple[str, ...]
    train: int
    selection: int
    report: int
    transfer: int
    facts: Facts
    transfer_facts: TransferFacts | None = None
    labelled: int | None = None
    judged_by: dict[Literal["selection", "report"], Literal["labels", "teacher"]] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class Table:
    """An embedding table: what its rows stand for ("words", "word pairs"), and its size."""

    holds: str
    rows: int
    columns: int


@dataclass(frozen=True)
class Spent:
    """What a student that was built to a budget spent it on.

    Attributes:
        max_params, max_bytes: the budget; one of them is None.
        tables: widest first; words stand in the order of their usefulness.
        core: what reads the words in their order: `gru`, `forward-gru`, `conv`; None where nothing does.
        hidden: size of the core: units of a GRU (in each direction), channels of a convolution.
        table_parameters, network_parameters: in the tables, and in all else.
        coverage: share of the running words of the train texts that the vocabulary holds whole, not in pieces.
    """

    max_params: int | None
    max_bytes: int | None
    tables: tuple[Table, ...]
    core: str | None
    hidden: int | None
    table_parameters: int
    network_parameters: int
    coverage: float


@dataclass(frozen=True)
class Cell:
    """One model of the run.

    Attributes:
        id: unique within the run; names its folder.
        kind: `teacher` or `rung`.
        position: 0 for the teacher, 1 for the rung below it, and so on.
        model: what it is, in words: "bidirectional GRU, 20K words".
        arm: how it was trained; None for the teacher and for rungs that all arms share.
        seed: index of the seed.
        params: parameters, all of them; 0 for a teacher that is no model: ready soft labels, or a function.
        bytes: size on disk, tokenizer included.
        seconds: that it took.
        metrics: on the report split. `ece` and `nll` are of the probabilities that a bundle gives, which are
            calibrated; `ece_uncalibrated` and `nll_uncalibrated` are of the model before that. A teacher has none where
            it is what the others are measured by, or where it is not at hand and said nothing of it.
        selection_metrics: on the selection split, on which the calibration was fitted; likewise.
        teachers: ids of the cells it learnt from.
        spent: what its budget was spent on; None where it was not built to one.
        notes: how it began, a plain line each: what its checkpoint held and lacked, where its embeddings are from.
        calibration: what turns its outputs into probabilities and answers; None for a regression.
        calibration_note: why its temperature was left at 1; None where it was fitted.
        abstaining: how much of the report split it answers, and how well, where answers of low probability are held
            back; empty but for one label of several.
    """

    id: str
    kind: Literal["teacher", "rung"]
    position: int
    model: str
    arm: Arm | None
    seed: int
    params: int
    bytes: int
    seconds: float
    metrics: dict[MetricName, Metric]
    selection_metrics: dict[MetricName, Metric]
    teachers: tuple[str, ...] = ()
    spent: Spent | None = None
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None
    calibration_note: str | None = None
    abstaining: tuple[Answered, ...] = ()


@dataclass(frozen=True)
class Rung:
    """One row of the table: the cells of one position and arm, over their seeds. The teacher is row 0.

    Attributes:
        kind, position, model, arm: of the cells.
        seeds: how many cells.
        params, bytes: the largest of the cells, which differ only where the vocabulary does.
        metrics: the primary metric and `agreement` with intervals over seeds and texts (`compare.share_interval`,
            `compare.mean_interval`); `ms_per_text` is the median cell, between the ends of the cells.
        times_smaller: parameters of the teacher over its own; None where either has none.
        times_faster: milliseconds per text of the teacher over its own; None where either was not timed.
        accuracy_kept: the primary metric over the teacher's; None where the teacher has none, or may know nothing.
    """

    kind: Literal["teacher", "rung"]
    position: int
    model: str
    arm: Arm | None
    seeds: int
    params: int
    bytes: int
    metrics: dict[MetricName, Metric]
    times_smaller: float | None
    times_faster: float | None
    accuracy_kept: float | None


@dataclass(frozen=True)
class Summary:
    """The student in one glance.

    Attributes:
        bundle_cell: id of the cell that became the bundle.
        accuracy: the primary metric (`Results.metric`) of that cell, on the report split.
        mean_accuracy_over_seeds: the same of its position and arm.
        times_smaller, times_faster, accuracy_kept: against the teacher, as in `Rung`.
        processor_hours: spent on the whole run.
        processor_hours_per_million_texts: that the student takes to read a million texts; None if not timed.
    """

    bundle_cell: str
    accuracy: Metric
    mean_accuracy_over_seeds: float
    times_smaller: float | None
    times_faster: float | None
    accuracy_kept: float | None
    processor_hours: float
    processor_hours_per_million_texts: float | None


@dataclass(frozen=True)
class Results:
    """The whole of `results.json`; `to_dict` and `parse` lead there and back.

    Attributes:
        schema: version of this schema.
        recipe: resolved; it alone reproduces the run.
        coincide: arm → the arm whose cells stand for it, because both would train the same model in the same
        way.
        metric: the primary metric of the task, which is compared: `accuracy` for one label of several, `micro_f1` for
            sets of labels, `pearson` for numbers; where the report split has no labels (`data.judged_by`), `agreement`
            with the teacher, and `pearson` is with the teacher's numbers. The keys `accuracy`,
            `mean_accuracy_over_seeds` and `accuracy_kept` hold it under the name that most tasks have for it.
        selection_metric: the same on the selection split, where it chooses the bundle; another than `metric` where one
            of the two has labels and the other has not. None where it was not recorded, and then it is `metric`.
        members: of several teachers, each by itself, in the recipe's order; `cells[0]` is their mean. Empty for one.
        bundle: its path, as a command would take it; None where none was made.
    """

    schema: Literal[1]
    recipe: dict[str, Any]
    environment: Environment
    data: Data
    cells: tuple[Cell, ...]
    rungs: tuple[Rung, ...]
    comparisons: tuple[Comparison, ...]
    summary: Summary
    coincide: dict[Arm, Arm]
    bundle: str | None = None
    members: tuple[Cell, ...] = ()
    metric: MetricName = "accuracy"
    selection_metric: MetricName | None = None


def to_dict(results: Results) -> dict[str, Any]:
    """Plain JSON values: dicts, lists, strings, numbers, None.

    Raises:
        ValueError: a number that is not finite, which JSON cannot hold.
    """
    plain: dict[str, Any] = json.loads(json.dumps(asdict(results), allow_nan=False))
    return plain


def parse(results: Mapping[str, Any] | Results) -> Results:
    """Typed results from the dict of a `results.json`. Keys that this version does not know are ignored.

    Raises:
        InputError: with every key that is missing or wrong.
    """
    if isinstance(results, Results):
        return results
    try:
        return _adapter().validate_python(dict(results))
    except ValidationError as error:
        faults = [f"  - {'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors()]
        raise InputError(
            "These are not results of a run that this version can read. Expected what `stepdown run` writes "
            "to results.json; found:\n" + "\n".join(faults)
        ) from None


def parse_spent(spent: Mapping[str, Any]) -> Spent:
    """Typed from the dict that a cell's manifest holds."""
    return Spent(**{**spent, "tables": tuple(Table(**table) for table in spent["tables"])})


def validate(results: Mapping[str, Any]) -> None:
    """Raises InputError unless the dict follows the schema."""
    parse(results)


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `results.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_adapter().json_schema(),
        "title": "results.json of a stepdown run",
    }


def table(
    cells: Sequence[Mapping[str, Any]],
    by_text: Mapping[str, NDArray[np.bool_] | Floats],
    agreed: Mapping[str, NDArray[np.bool_]],
    metric: MetricName = "accuracy",
) -> list[dict[str, Any]]:
    """`rungs` of results.json from its `cells`: from the top of the ladder down, arms in the order of their cells.

    Args:
        cells: dicts of `Cell`, the teacher's first; those of one row differ in seed.
        by_text: cell id → what each report text adds to the primary metric, [n]; for accuracy, whether it was
            classified correctly. A teacher of which nothing is known there is not among them.
        agreed: cell id → whether each prediction is the teacher's, bool [n]; cells without are left without.
        metric: the primary one.
    """
    groups: dict[tuple[int, Arm | None], list[Cell]] = {}
    for cell in sorted(_cells().validate_python(cells), key=lambda cell: (cell.position, cell.seed)):
        groups.setdefault((cell.position, cell.arm), []).append(cell)
    rows: list[dict[str, Any]] = []
    top: Rung | None = None
    for group in groups.values():
        metrics = _others(group, agreed)
        if all(cell.id in by_text for cell in group):
            values = np.stack([by_text[cell.id] for cell in group]).astype(np.float64)
            primary = share_interval(values > 0) if metric in SHARES else mean_interval(values, metric)
            metrics = {metric: primary, **metrics}
        row = _rung(group, metrics, metric, top)
        top = top or row
        rows.append(asdict(row))
    return rows


def too_few_seeds(results: Results) -> bool:
    """Whether the run has too few seeds to show a difference between arms."""
    return any(row.kind == "rung" and row.seeds < MIN_SEEDS for row in results.rungs)


def _others(group: Sequence[Cell], agreed: Mapping[str, NDArray[np.bool_]]) -> dict[MetricName, Metric]:
    metrics: dict[MetricName, Metric] = {}
    if all(cell.id in agreed for cell in group):
        metrics["agreement"] = share_interval(np.stack([agreed[cell.id] for cell in group]))
    timings = [cell.metrics["ms_per_text"] for cell in group if "ms_per_text" in cell.metrics]
    if timings:
        metrics["ms_per_text"] = Metric(
            float(np.median([timing.value for timing in timings])),
            min(timing.low for timing in timings),
            max(timing.high for timing in timings),
            sum(timing.n for timing in timings),
        )
    return metrics


def _rung(
    group: Sequence[Cell], metrics: dict[MetricName, Metric], metric: MetricName, top: Rung | None
) -> Rung:
    """The row of a group; beside itself where there is no teacher above."""
    cell, params = group[0], max(cell.params for cell in group)
    above, teacher = (top.metrics, top.params) if top else (metrics, params)
    return Rung(
        kind=cell.kind,
        position=cell.position,
        model=cell.model,
        arm=cell.arm,
        seeds=len(group),
        params=params,
        bytes=max(cell.bytes for cell in group),
        metrics=metrics,
        times_smaller=teacher / params if teacher and params else None,
        times_faster=_ratio(above.get("ms_per_text"), metrics.get("ms_per_text")),
        accuracy_kept=_kept(metrics.get(metric), above.get(metric)),
    )


def _ratio(over: Metric | None, under: Metric | None) -> float | None:
    return over.value / under.value if over and under and under.value else None


def _kept(own: Metric | None, teachers: Metric | None) -> float | None:
    """The share of the teacher's metric; None where either may be nothing, as correlations may: no share is meant."""
    if own is None or teachers is None or own.value <= 0 or teachers.low <= 0:
        return None
    return _ratio(own, teachers)


@functools.cache
def _cells() -> TypeAdapter[tuple[Cell, ...]]:
    return TypeAdapter(tuple[Cell, ...])


@functools.cache
def _adapter() -> TypeAdapter[Results]:
    return TypeAdapter(Results)


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
