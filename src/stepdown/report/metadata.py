"""What a card tells programs: the metadata of a Hugging Face model card.

The keys are those of the hub's own specification (https://huggingface.co/docs/hub/model-cards, and `modelcard.md` in
huggingface/hub-docs); `model-index` holds what was measured. Intervals have no key there: they stand in a metric's
`args`, under the names that results.json has for them, and in its `name` for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.compare import Comparison, Verdict
from stepdown.evaluate import LEVEL, Metric, MetricName
from stepdown.report.figures import clean
from stepdown.report.judged import by_teacher
from stepdown.results import Cell, Results, Rung
from stepdown.runtime import Source
from stepdown.tasks import TaskKind

NOT_STATED = "not stated"

# Metric → its id among the hub's metrics, where it has one, and its name. Times are of one machine, and no metric.
_METRICS: dict[MetricName, tuple[str, str]] = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "micro_f1": ("f1", "Micro F1"),
    "mcc": ("matthews_correlation", "Matthews correlation"),
    "pearson": ("pearsonr", "Pearson correlation"),
    "spearman": ("spearmanr", "Spearman correlation"),
    "rmse": ("rmse", "Root mean squared error"),
    "mae": ("mae", "Mean absolute error"),
    "ece": ("expected_calibration_error", "Expected calibration error"),
    "nll": ("negative_log_likelihood", "Negative log-likelihood"),
    "agreement": ("agreement", "Agreement with its teacher"),
}
_OF_THE_HUB = ("accuracy", "f1", "matthews_correlation", "pearsonr", "spearmanr", "mae")

# Licences that the hub knows, https://huggingface.co/docs/hub/repositories-licenses, without those of single models.
_KNOWN = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd
bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0
ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 other pddl postgresql unknown unlicense wtfpl zlib
"""
_LICENCES = frozenset(_KNOWN.split())


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, as far as a hub has it.

    Attributes:
        measured_on: name of the data that it was measured on.
        dataset: their hub id, if they have one.
        config, revision: of that data set.
        datasets: hub ids of all data that it learnt from.
        base_models: hub ids of the models that it grew from: its own beginning, or else its teacher.
    """

    measured_on: str = "unnamed data"
    dataset: str | None = None
    config: str | None = None
    revision: str | None = None
    datasets: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """What a model is to programs.

    Attributes:
        library: that runs it: `stepdown` or `transformers`.
        task: what it answers.
        tags: beside the task's and `stepdown`.
        weights: what they are stored as; all figures are of float32.
    """

    library: str
    task: TaskKind
    tags: tuple[str, ...] = ()
    weights: str = "float32"


def licence(sources: Iterable[Source], given: str | None) -> dict[str, str]:
    """The keys that state a model's licence: the given one, else the one that all of its sources state.

    Where one of them states none, nobody knows under which licence the model may be used; where they state several,
    it is for a person to say which one follows.
    """
    stated = {given} if given else {source.licence for source in sources}
    if not stated or any(one.lower() == NOT_STATED for one in stated):
        return {"license": "unknown"}
    if len(stated) > 1:
        return {"license": "other", "license_name": "see-its-sources"}
    (name,) = stated
    known = re.sub(r"-(only|or-later)$", "", name.lower())
    if known in _LICENCES:
        return {"license": known}
    plain = re.sub(r"[^a-z0-9.+-]+", "-", name.lower()).strip("-") or "not-named"
    return {"license": "other", "license_name": plain}


def metadata(
    run: Results, student: Cell, kind: Kind, origin: Origin, stated: dict[str, str], languages: Sequence[str]
) -> dict[str, Any]:
    """The metadata of a cell's card.

    Args:
        run: the results.
        student: the cell.
        kind, origin: of the model.
        stated: of `licence`.
        languages: codes of ISO 639; none if that is not known.
    """
    title = clean(str(run.recipe.get("name") or "run"))
    metrics = list(_metrics(run, student, kind))
    named = [one["type"] for one in metrics if one["type"] in _OF_THE_HUB]
    distilled = ("knowledge-distillation",) if student.arm != "direct" and student.kind == "rung" else ()
    result = {
        "task": {"type": "text-classification", "name": "Text classification"},
        "dataset": _dataset(run, origin),
        "metrics": metrics,
    }
    return {
        **stated,
        **({"language": list(languages)} if languages else {}),
        "library_name": kind.library,
        "pipeline_tag": "text-classification",
        "tags": list(dict.fromkeys(("stepdown", "text-classification", kind.task, *distilled, *kind.tags))),
        **({"datasets": list(origin.datasets)} if origin.datasets else {}),
        **_base(origin.base_models),
        "metrics": list(dict.fromkeys(named)),
        "model-index": [{"name": title, "results": [result]}],
    }


def _base(models: Sequence[str]) -> dict[str, Any]:
    if len(models) == 1:
        return {"base_model": models[0]}
    # Several base models would be taken for a merge of their weights.
    return {"base_model": list(models), "base_model_relation": "finetune"} if models else {}


def _dataset(run: Results, origin: Origin) -> dict[str, Any]:
    report = run.data.facts.splits.get("report")
    given = report.given if report else None
    name = origin.measured_on
    if report is not None and given is None:
        name += f": {report.origin.rstrip('.')}"
    found = {
        "name": clean(name),
        "type": origin.dataset or "unknown",
        "config": origin.config,
        "split": given,
        "revision": origin.revision,
    }
    return {key: value for key, value in found.items() if value is not None}


def _metrics(run: Results, student: Cell, kind: Kind) -> Iterator[dict[str, Any]]:
    """What was measured of the very cell, and what can be expected of one that is trained alike."""
    row = row_of(run, student)
    against = {"compared_with": [_told(one, row) for one in concerning(run, row)]} if row else {}
    stored = {} if kind.weights == "float32" else {"measured_with": "float32 weights"}
    alone = row is None or row.seeds == 1
    # Numbers that were held against the teacher's, for lack of labels, say nothing of the truth.
    teacher = " with its teacher's numbers" if by_teacher(run) and run.data.task == "regression" else ""
    for name in _METRICS:
        if name in student.metrics:
            more = against if alone and name == run.metric else {}
            yield _metric(name, student.metrics[name], teacher, {"seed": student.seed, **stored, **more})
    if row is not None and not alone:
        whose = f"{teacher} in the mean of {row.seeds} seeds"
        yield _metric(run.metric, row.metrics[run.metric], whose, {"seeds": row.seeds, **stored, **against})


def _metric(name: MetricName, found: Metric, whose: str, more: dict[str, Any]) -> dict[str, Any]:
    # Errors of a regression are in the data's own unit, whatever its size.
    low, high = (f"{end:.4g}" if name in ("rmse", "mae") else f"{end:.3f}" for end in (found.low, found.high))
    type_, title = _METRICS[name]
    if whose.startswith(" with its teacher"):
        type_ = f"{type_}_with_teacher"
    return {
        "type": type_,
        "value": found.value,
        "name": f"{title}{whose} ({LEVEL:.0%} interval {low} to {high}, {found.n:,} texts)",
        "args": {"low": found.low, "high": found.high, "confidence": LEVEL, "n": found.n, **more},
    }


def row_of(run: Results, student: Cell) -> Rung | None:
    """The row of the table of rungs that a student is part of; None for a teacher, which no row is about."""
    rungs = (one for one in run.rungs if one.kind == "rung")
    return next((one for one in rungs if (one.position, one.arm) == (student.position, student.arm)), None)


def concerning(run: Results, row: Rung) -> list[Comparison]:
    """The paired comparisons that a row of the table is part of."""
    as_rung = f"rung {row.position}" + (f" ({row.arm})" if row.arm else "")
    is_last = row.position == max(one.position for one in run.rungs)
    return [
        one
        for one in run.comparisons
        if (one.b == as_rung if one.kind == "rung" else is_last and row.arm in (one.a, one.b))
    ]


def _told(found: Comparison, row: Rung) -> dict[str, Any]:
    """A comparison as the row minus the other."""
    turned = found.kind == "arm" and found.a == row.arm
    sign = -1 if turned else 1
    low, high = sorted((sign * found.low, sign * found.high))
    return {
        "name": clean(found.b if turned else found.a),
        "difference": sign * found.difference,
        "low": low,
        "high": high,
        "verdict": _TURNED[found.verdict] if turned else found.verdict,
    }


_TURNED: dict[Verdict, Verdict] = {
    "better": "worse",
    "worse": "better",
    "no difference shown": "no difference shown",
}
