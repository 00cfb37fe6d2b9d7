"""What a run leaves for people and programs to read: the typed schema of `results.json`, and how its rows come about.

    Results
    ├── recipe, environment, data      what went in
    ├── cells                          every trained model, one by one
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
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stepdown.compare import MIN_SEEDS, Comparison, Pair, mean_interval
from stepdown.errors import InputError
from stepdown.evaluate import Metric, median

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 1

Arm = Literal["direct", "one-hop", "chain", "dense"]
MetricName = Literal[
    "accuracy",
    "macro_f1",
    "mcc",
    "micro_f1",
    "pearson",
    "spearman",
    "agreement",
    "kl",
    "ece",
    "nll",
    "ms_per_text",
]


@dataclass(frozen=True)
class Environment:
    """Where the run took place.

    Attributes:
        stepdown, python: versions.
        platform: operating system and architecture.
        processor: its name; `cores` that the run could use.
        device: where models were trained, e.g. `cpu` or `cuda: NVIDIA H100`.
        packages: name → version of what the numbers depend on.
    """

    stepdown: str
    python: str
    platform: str
    processor: str
    cores: int
    device: str
    packages: dict[str, str]


@dataclass(frozen=True)
class Data:
    """The data as they were used.

    Attributes:
        label_names: in the order of logits.
        sizes: texts by split: `train`, `selection`, `report`, and `transfer` (all texts that teachers
        labelled).
        removed_overlap: texts removed because they overlap the selection or report split, by where they were
        removed.
        overlap_left: texts of `selection` and `report` that still share an n-gram with a training text.
        notes: how each split came about, in words.
    """

    label_names: tuple[str, ...]
    sizes: dict[str, int]
    removed_overlap: dict[str, int]
    overlap_left: dict[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One model of the run.

    Attributes:
        id: unique within the run; names its folder.
        kind: `teacher` or `rung`.
        position: 0 for the teacher, 1 for the rung below it, and so on.
        model: as the recipe names it.
        arm: how it was trained; None for the teacher and for rungs that all arms share.
        seed: index of the seed.
        params: parameters, all of them; 0 for ready-made soft labels.
        bytes: size on disk, tokenizer included.
        seconds: processor time spent on it.
        metrics: on the report split.
        selection_metrics: on the selection split.
        shown: what the model is, for people, where its name does not say: "bidirectional GRU, 20K words".
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
    shown: str | None = None


@dataclass(frozen=True)
class Rung:
    """One row of the table: the cells of one position and arm, over their seeds. The teacher is row 0.

    Attributes:
        kind, position, model, arm, shown: of the cells.
        seeds: how many cells.
        params, bytes: the largest of the cells, which differ only where the vocabulary does.
        metrics: `accuracy` and `agreement` with intervals over seeds and texts (`compare.mean_interval`);
            `ms_per_text` is the median cell, between the ends of the cells.
        times_smaller: parameters of the teacher over its own; None where either has none.
        times_faster: milliseconds per text of the teacher over its own; None where either was not timed.
        accuracy_kept: accuracy over the teacher's; None where the teacher has none.
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
    shown: str | None = None


@dataclass(frozen=True)
class Summary:
    """The student in one glance.

    Attributes:
        student: id of the cell that became the bundle.
        bundle: path of the bundle, as a command would take it; None where none was made.
        times_smaller, times_faster, accuracy_kept: of that cell's row, as in `Rung`.
        processor_hours: spent on the whole run.
        processor_hours_per_million_texts: that the student takes to read a million texts; None if not timed.
        coincide: arm → the arm whose cells stand for it, because both would train the same model in the same
        way.
    """

    student: str
    bundle: str | None
    times_smaller: float | None
    times_faster: float | None
    accuracy_kept: float | None
    processor_hours: float
    processor_hours_per_million_texts: float | None
    coincide: dict[Arm, Arm]


@dataclass(frozen=True)
class Results:
    """The whole of `results.json`; `to_dict` and `parse` lead there and back."""

    schema: Literal[1]
    recipe: dict[str, Any]
    environment: Environment
    data: Data
    cells: tuple[Cell, ...]
    rungs: tuple[Rung, ...]
    comparisons: tuple[Comparison, ...]
    summary: Summary


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
    from pydantic import ValidationError

    if isinstance(results, Results):
        return results
    try:
        return _adapter().validate_python(dict(results))
    except ValidationError as error:
        faults = [f"  - {'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors()]
        raise InputError(
            "These are not results of a run that this version can read. Expected what `stepdown run` writes to "
            "results.json; found:\n" + "\n".join(faults)
        ) from None


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
    cells: Sequence[Cell], correct: Mapping[str, NDArray[np.bool_]], agreed: Mapping[str, NDArray[np.bool_]]
) -> tuple[Rung, ...]:
    """The rows of the table, from the top of the ladder down; arms of a rung in the order of their cells.

    Args:
        cells: the teacher's first; those of one row may differ in seed only.
        correct: cell id → whether each report text was classified correctly, bool [n].
        agreed: cell id → whether each prediction is the teacher's, bool [n]; cells without are left without.
    """
    rows = []
    for group in _rows(cells):
        metrics: dict[MetricName, Metric] = {"accuracy": mean_interval(_matrix(group, correct))}
        if all(cell.id in agreed for cell in group):
            metrics["agreement"] = mean_interval(_matrix(group, agreed))
        timings = [cell.metrics["ms_per_text"] for cell in group if "ms_per_text" in cell.metrics]
        if timings:
            ends = [end for timing in timings for end in (timing.low, timing.high)]
            middle = median(np.array([timing.value for timing in timings])).value
            metrics["ms_per_text"] = Metric(middle, min(ends), max(ends), sum(timing.n for timing in timings))
        rows.append((group, metrics))
    top = rows[0]
    return tuple(_rung(group, metrics, top[0][0].params, top[1]) for group, metrics in rows)


def pairs(cells: Sequence[Cell], correct: Mapping[str, NDArray[np.bool_]], student: str) -> list[Pair]:
    """What a report compares: all arms of the last rung with each other, and each rung with the teacher.

    A rung that several arms train is compared once, as trained in the arm of the student (which is chosen on
    the selection split, so the choice does not bend the comparison), and in its first arm where the student's
    has none.

    Args:
        cells, correct: as in `table`.
        student: id of the cell that becomes the bundle.
    """
    rows = _rows(cells)
    last = [group for group in rows if group[0].position == rows[-1][0].position and group[0].kind == "rung"]
    found = [
        Pair("arm", str(a[0].arm), str(b[0].arm), _matrix(a, correct), _matrix(b, correct))
        for i, a in enumerate(last)
        for b in last[i + 1 :]
    ]
    arm = next(cell.arm for cell in cells if cell.id == student)
    teacher = rows[0]
    for position in sorted({group[0].position for group in rows} - {0}):
        here = [group for group in rows if group[0].position == position]
        group = next((group for group in here if group[0].arm == arm), here[0])
        name = f"rung {position}" + (f" ({group[0].arm})" if group[0].arm else "")
        found.append(Pair("rung", "teacher", name, _matrix(teacher, correct), _matrix(group, correct)))
    return found


def summarise(
    rows: Sequence[Rung], student: Cell, bundle: str | None, seconds: float, coincide: Mapping[Arm, Arm]
) -> Summary:
    """The student's row, and the cost.

    Args:
        rows: from `table`.
        student: the cell that became the bundle.
        bundle: its path.
        seconds: processor time of the whole run.
        coincide: from the plan.
    """
    row = next(row for row in rows if (row.position, row.arm) == (student.position, student.arm))
    timing = row.metrics.get("ms_per_text")
    return Summary(
        student=student.id,
        bundle=bundle,
        times_smaller=row.times_smaller,
        times_faster=row.times_faster,
        accuracy_kept=row.accuracy_kept,
        processor_hours=seconds / 3600,
        # Milliseconds per text are thousands of seconds per million texts.
        processor_hours_per_million_texts=timing.value * 1000 / 3600 if timing else None,
        coincide=dict(coincide),
    )


def too_few_seeds(results: Results) -> bool:
    """Whether the run has too few seeds to show a difference between arms."""
    return any(row.kind == "rung" and row.seeds < MIN_SEEDS for row in results.rungs)


def _rows(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one position and arm together, seeds in order; positions from the top."""
    groups: dict[tuple[int, Arm | None], list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.position, cell.seed)):
        groups.setdefault((cell.position, cell.arm), []).append(cell)
    return list(groups.values())


def _matrix(group: Sequence[Cell], rows: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.stack([rows[cell.id] for cell in group])


def _rung(
    group: Sequence[Cell],
    metrics: dict[MetricName, Metric],
    teacher_params: int,
    teacher_metrics: Mapping[MetricName, Metric],
) -> Rung:
    cell = group[0]
    params = max(cell.params for cell in group)
    return Rung(
        kind=cell.kind,
        position=cell.position,
        model=cell.model,
        arm=cell.arm,
        seeds=len(group),
        params=params,
        bytes=max(cell.bytes for cell in group),
        metrics=metrics,
        times_smaller=teacher_params / params if teacher_params and params else None,
        times_faster=_ratio(teacher_metrics.get("ms_per_text"), metrics.get("ms_per_text")),
        accuracy_kept=_ratio(metrics["accuracy"], teacher_metrics["accuracy"]),
        shown=cell.shown,
    )


def _ratio(over: Metric | None, under: Metric | None) -> float | None:
    return over.value / under.value if over and under and under.value else None


@functools.cache
def _adapter() -> TypeAdapter[Results]:
    # Here, because a program that only holds results needs no pydantic.
    from pydantic import TypeAdapter

    return TypeAdapter(Results)
