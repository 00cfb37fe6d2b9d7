"""Packs a model of a run as a bundle: the run's own when it is done, any other later, in the form that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stepdown import assets, export, lineage, recipe, report, store
from stepdown.errors import InputError, ModelError
from stepdown.ladder.context import Context
from stepdown.ladder.finished import calibration_of, model_of
from stepdown.ladder.plan import TEACHER
from stepdown.recipe import LABELS, Recipe, is_given
from stepdown.recipe.faults import did_you_mean
from stepdown.runtime import Calibration, LongTexts, Source
from stepdown.runtime.about import WeightType
from stepdown.runtime.long_texts import Way
from stepdown.runtime.shipped import shipped
from stepdown.students import saved, transformer
from stepdown.students.model import TextModel

_CHECK_TEXTS = "check-texts.json"
_MOST_CHECKED = 5000


@dataclass(frozen=True)
class Wishes:
    """How a model of a finished run is to be packed.

    Attributes:
        weights: what they are stored as.
        accept_loss: pack it even if smaller weights change too many labels.
        max_length: most tokens of a text that are read; None for what it was trained with.
        long_texts: how texts with more tokens than it was trained with are read; None: like any other.
        title: of the card; None for the run's name.
        renamed: label as it is in the run → label as the bundle gives it.
        sources: what the card names; None for what the recipe says.
        licence: SPDX identifier of the model's own; None for what its sources say together.
        languages: that it reads, as codes of ISO 639, for the card's metadata.
    """

    weights: WeightType = "float32"
    accept_loss: bool = False
    max_length: int | None = None
    long_texts: Way | None = None
    title: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[Source] | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()


def keep_check_texts(context: Context) -> None:
    """Keep texts in the run's folder for packing any cell later, when the data may be gone.

    Report texts come first, without their labels: nothing may be decided by them. Then selection texts with theirs,
    and texts of the transfer set, evenly drawn, up to 5,000 together.
    """
    selection, report_texts = context.dataset.selection, context.dataset.report.texts[:_MOST_CHECKED]
    known = selection.take(np.arange(min(len(selection), _MOST_CHECKED - len(report_texts))))
    # The labelled ones among them are what the model learnt from, and say nothing of accuracy.
    drawn = context.transfer.sample(_MOST_CHECKED - len(report_texts) - len(known))
    task, labels = context.dataset.task, known.labels
    answers = None  # of single labels each is one itself
    if task.kind != "single-label":
        met = np.unique(labels[labels >= 0])  # no more than there are texts, of however many in the data
        answers, labels = task.answers[met].tolist(), np.where(labels >= 0, np.searchsorted(met, labels), -1)
    kept = {
        "texts": [*report_texts, *known.texts, *drawn],
        "labels": [*[-1] * len(report_texts), *labels.tolist(), *[-1] * len(drawn)],
        "answers": answers,
        "is_pair": task.is_pair,
    }
    store.write_json(context.out / _CHECK_TEXTS, kept)


def pack(context: Context, cell: str, found: Mapping[str, Any]) -> None:
    """Pack the run's own bundle from results that are not written yet. Raises as `export_cell`."""
    _export(
        model_of(context, cell),
        context.out / "bundle",
        _checks(context.out),
        found,
        calibration_of(context.manifests[cell]),
        Wishes(sources=sources(context.recipe)),
    )


def export_cell(
    run: Path, cell: str | None, target: Path | None, wishes: Wishes | None = None
) -> tuple[Path, export.Loss | None]:
    """Pack a model of a finished run.

    Args:
        run: the run's folder.
        cell: its id; None for the one of the run's own bundle.
        target: a folder or a `.stepdown` file; None for `CELL.stepdown` in the working folder.
        wishes: None for float32 weights, and all else as in the run.

    Returns:
        Where the bundle is, and what smaller weights cost (None for float32).

    Raises:
        InputError: the run is not finished, has no such cell or label, or the model cannot read so long a text.
        CheckError: the bundle does not say what the trained model says, or smaller weights change too many labels;
            nothing is written.
    """
    taken = take(run, cell, wishes or Wishes())
    target = target or Path(f"{taken.name}.stepdown")
    return target, _export(taken.model, target, _checks(run), taken.found, taken.calibration, taken.wishes)


@dataclass(frozen=True)
class Taken:
    """A model of a finished run that is to be packed.

    Attributes:
        name: its cell.
        model: as it was trained, or reading as many tokens as is wished.
        found: the results, with this cell in the place of the run's own bundle.
        calibration: of its probabilities.
        wishes: what is named in them, or else what the recipe says.
    """

    name: str
    model: TextModel
    found: dict[str, Any]
    calibration: Calibration
    wishes: Wishes


def take(run: Path, cell: str | None, wishes: Wishes) -> Taken:
    """A model of a finished run; None for the one of the run's own bundle. Raises InputError as `export_cell`."""
    path = run / "results.json"
    if not path.is_file():
        if str(run) in shipped():
            raise InputError(
                f"{run} is a model that comes with stepdown, packed as a bundle already: run it by its name. "
                "Of a bundle only --format web makes something else."
            )
        raise InputError(f"{path} is not there: the run is not finished. Finish it with: stepdown run RECIPE")
    found = store.read_json(path)
    members = [one["id"] for one in found.get("members", ())]
    known = [one["id"] for one in found["cells"]] + members
    name = cell or found["summary"]["bundle_cell"]
    if name not in known:
        raise InputError(f"The run in {run} has no cell {name!r}. It has: {', '.join(known)}.")
    if members and name == TEACHER:
        raise InputError(
            f"{name} is the mean of several models, which no bundle holds. Pack one of them with --cell: "
            f"{', '.join(members)}."
        )
    spec = recipe.load(str(run / "recipe.toml"))
    if wishes.sources is None:
        wishes = replace(wishes, sources=sources(spec))
    if name == TEACHER and is_given(spec.teacher.model[0]):
        raise InputError(
            f"The teacher of the run in {run} is no model ({spec.teacher.model[0]}), so there is nothing to pack. "
            f"Pack a rung with --cell: {', '.join(one for one in known if one != TEACHER)}."
        )
    told = {**found, "summary": {**found["summary"], "bundle_cell": name}}
    model = saved.load(run / "cells" / name, max_length=wishes.max_length or _trained_with(told))
    manifest = store.read_json(run / "cells" / name / store.MANIFEST)
    return Taken(name, model, told, calibration_of(manifest), wishes)


def _export(
    model: TextModel,
    target: Path,
    checks: export.CheckTexts,
    found: Mapping[str, Any],
    calibration: Calibration,
    wishes: Wishes,
) -> export.Loss | None:
    trained_with = _trained_with(found)
    if wishes.max_length is not None:
        model = _lengthened(model, wishes.max_length)
    model = renamed(model, wishes.renamed)
    long_texts = None
    if wishes.long_texts:
        if checks.is_pair:
            raise InputError(
                "--long-texts reads a long text by its sentences, and this model reads pairs of texts. Leave it out."
            )
        long_texts = LongTexts(min(trained_with, model.max_length), wishes.long_texts)
    told, packed = described(model, found, calibration, wishes, long_texts, is_pair=checks.is_pair)

    def card(size: int, cost: export.Loss | None) -> str:
        return report.card(told, replace(packed, bytes=size, quality=_quality(cost, wishes.weights)))

    form = export.Form(wishes.weights, wishes.accept_loss, long_texts)
    return export.export(model, target, checks, export.Description(card, packed.sources, calibration), form)


def _trained_with(found: Mapping[str, Any]) -> int:
    """To how many tokens the model that is packed cut the texts that it learnt from."""
    own = found["summary"]["bundle_cell"]
    position = next((cell["position"] for cell in found["cells"] if cell["id"] == own), 0)
    stated = found["recipe"]["rungs"][position - 1].get("max_length") if position else None
    return int(stated or found["recipe"]["data"]["max_length"])


def described(
    model: TextModel,
    found: Mapping[str, Any],
    calibration: Calibration,
    wishes: Wishes,
    long_texts: LongTexts | None = None,
    *,
    is_pair: bool,
) -> tuple[dict[str, Any], report.Packed]:
    """The results as the card of a model tells them, and what it knows of the model before that is packed."""
    told = {**found, "data": {**found["data"], "label_names": list(model.label_names)}}
    if wishes.title:
        told["recipe"] = {**found["recipe"], "name": wishes.title}
    given = tuple(wishes.sources or ())
    packed = report.Packed(
        bytes=0,
        sources=given,
        use=(*_applies(calibration), *_reads(model, long_texts, is_pair=is_pair)),
        task=model.task,
        is_pair=is_pair,
        weights=wishes.weights,
        tags=(_architecture(model),),
        origin=lineage.origin(found, found["summary"]["bundle_cell"], given),
        licence=wishes.licence,
        languages=wishes.languages,
    )
    return told, packed


def _lengthened(model: TextModel, max_length: int) -> TextModel:
    """The model reading texts up to another length, which a transformer's positions may not hold."""
    if model.kind == "huggingface" and model.max_length < max_length:
        raise ModelError(
            f"{model.description} reads {model.max_length:,} tokens of a text at most, and not {max_length:,}: it has "
            "no more positions. Lower --max-length; --long-texts sentences reads long texts part by part."
        )
    return replace(model, max_length=max_length)


def _architecture(model: TextModel) -> str:
    """What searchers know it as: a type of transformers, or a family of stepdown's own."""
    if isinstance(model.network, transformer.HuggingFaceNetwork):
        return str(model.network.classifier.config.model_type)
    return model.kind


def renamed(model: TextModel, new: Mapping[str, str]) -> TextModel:
    """The model with other names of labels. Raises InputError for one that it does not have, and for equal ones."""
    names = model.label_names
    for name in new:
        if name not in names:
            raise InputError(
                f"The model has no label {name!r} to rename. It has: {', '.join(names)}{did_you_mean(name, names)}"
            )
    found = tuple(new.get(name, name) for name in names)
    if len(set(found)) < len(found):
        raise InputError(
            f"Renamed so, two labels would have one name: {', '.join(found)}. Give each its own."
        )
    return replace(model, label_names=found)


_WAYS = {
    "sentences": "the mean of what it says of each sentence",
    "whole-and-sentences": "the mean of what it says of the whole and of the single sentences",
}


def _applies(calibration: Calibration) -> tuple[str, ...]:
    """From which probability on labels apply, where that was chosen."""
    if not calibration.thresholds:
        return ()
    low, high = min(calibration.thresholds), max(calibration.thresholds)
    least = f"{low:.2g}" if low == high else f"its own threshold, {low:.2g} to {high:.2g}"
    return (
        f"A label applies where its probability is at least {least}, as chosen on {calibration.n:,} "
        f"{calibration.split} texts.",
    )


def _reads(model: TextModel, long_texts: LongTexts | None, *, is_pair: bool) -> tuple[str, ...]:
    read = f"It reads the first {model.max_length:,} tokens of a {'pair' if is_pair else 'text'}"
    if long_texts is None:
        return (f"{read}.",)
    what = "text" if long_texts.read == "whole-and-sentences" else "sentence"
    return (
        f"Of a text of more than {long_texts.above:,} tokens it says {_WAYS[long_texts.read]}. "
        f"{read.removesuffix('text')}{what}.",
    )


def _quality(cost: export.Loss | None, weights: WeightType) -> tuple[str, ...]:
    if cost is None:
        return ()
    return (f"All figures are those of its float32 weights. Stored as {weights}, as they are here, {cost}.",)


def _checks(run: Path) -> export.CheckTexts:
    kept = store.read_json(run / _CHECK_TEXTS)
    if isinstance(kept, list):  # of a run of 0.1.0
        return export.CheckTexts(kept, np.full(len(kept), -1))
    answers = kept.get("answers")
    return export.CheckTexts(
        kept["texts"],
        np.array(kept["labels"], np.int64),
        np.array(answers, np.float32) if answers else None,  # none where no label is known
        kept.get("is_pair", False),
    )


def rung_models(chosen: Recipe) -> list[str]:
    """Names of the models that a recipe takes from somewhere for its rungs."""
    rungs = [chosen.resolved_rung(index) for index in range(len(chosen.rungs))]
    return [rung.model for rung in rungs if rung.kind == "huggingface" or rung.is_pretrained]


def sources(spec: Recipe) -> list[Source]:
    """What a student was made from: the recipe's `[[sources]]`, else the names in it, of a path only the last part.

    A bundle leaves the machine, and so does what it says.
    """
    if spec.sources:
        return [Source(one.name, one.role, one.licence) for one in spec.sources]
    unlabeled = spec.transfer.unlabeled if spec.transfer else ()
    named = [
        *((name, "teacher") for name in spec.teacher.model),
        *((name, "rung") for name in rung_models(spec)),
        (spec.data.source or str(spec.data.train), "data"),
        *((name, "transfer text") for name in unlabeled),
    ]
    return [_source(name, role) for name, role in named]


def _source(name: str, role: str) -> Source:
    if is_given(name):
        return Source(
            "soft labels that came with the data" if name.startswith(LABELS) else "a function", role
        )
    if assets.is_builtin(name):
        return Source(name, role, assets.BUILTINS[name].licence)
    is_path = Path(name).is_absolute() or Path(name).exists()
    return Source(Path(name).name if is_path else name, role)
