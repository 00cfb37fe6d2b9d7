"""Writes a model of a run in its own layout, for other tools: a Hugging Face folder with a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy import special

from stepdown import packing, report, store
from stepdown.errors import CheckError, InputError
from stepdown.runtime import Calibration
from stepdown.students import huggingface, saved, transformer
from stepdown.students.model import TextModel

_CONFIG = "config.json"
_BEFORE = "_uncalibrated"  # how the metrics of a model end that are of its outputs before calibration


def export(run: Path, cell: str | None, target: Path | None, wishes: packing.Wishes) -> Path:
    """Write a folder that `AutoModelForSequenceClassification`, pipelines and txtai load.

    Args:
        run: the folder of a finished run.
        cell: as in `packing.export_cell`.
        target: a folder, which a folder with a model may be replaced by; None for `CELL` in the working folder.
        wishes: names and sources; what is about bundles alone is refused.

    Returns:
        Where it is.

    Raises:
        InputError: as `packing.export_cell`; the model is of stepdown's own kind, or a wish is about bundles.
        CheckError: what was written does not read as the model that was trained; nothing is left then.
        StoreError: the disk fails.
    """
    of_bundles = {
        f"--weights {wishes.weights}": wishes.weights != "float32",
        "--max-length": wishes.max_length is not None,
        "--long-texts": wishes.long_texts is not None,
    }
    for option, is_wished in of_bundles.items():
        if is_wished:
            raise InputError(
                f"{option} is for bundles: in its own layout a model has the weights that were trained, and other "
                "tools decide how it reads long texts. Leave it out, or leave out --format native."
            )
    taken = packing.take(run, cell, wishes)
    if not isinstance(taken.model.network, transformer.HuggingFaceNetwork):
        raise InputError(
            f"{taken.name} is {taken.model.description}, which no other tool reads: its form to pass on is a bundle. "
            "Leave out --format native."
        )
    target = target or Path(taken.name)
    if target.exists() and not ((target / _CONFIG).is_file() or _is_empty(target)):
        raise InputError(f"{target} exists and holds no model, so it is left as it is. Choose another place.")
    model = packing.renamed(taken.model, wishes.renamed)
    found, calibration = _uncalibrated(taken.found, taken.name, taken.calibration)
    told, packed = packing.described(model, found, calibration, taken.wishes, is_pair=model.is_pair)
    with store.write_folder(target) as folder:
        huggingface.save(model, folder)
        packed = replace(packed, bytes=saved.size(folder), transformer=packed.tags[0], tags=())
        store.write_text(folder / "README.md", report.card(told, packed))
        _check(model, folder)
    return target


def _uncalibrated(
    found: Mapping[str, Any], cell: str, calibration: Calibration
) -> tuple[dict[str, Any], Calibration]:
    """The results and thresholds of a cell as other tools have it, which know of no temperature.

    A label applies where sigmoid(z / T) ≥ t, which is where sigmoid(z) ≥ sigmoid(T · logit t).
    """
    temperature, thresholds = calibration.temperature, calibration.thresholds

    def plain(one: dict[str, Any]) -> dict[str, Any]:
        if one["id"] != cell or one.get("calibration") is None:
            return one
        before = {key: value for key, value in one["metrics"].items() if key.endswith(_BEFORE)}
        metrics = {**one["metrics"], **{key.removesuffix(_BEFORE): value for key, value in before.items()}}
        note = one.get("calibration_note") or (
            f"A bundle divides its outputs by {temperature:.3g}, as fitted on {calibration.n or 0:,} selection texts; "
            "other tools do not."
        )
        return {**one, "metrics": metrics, "calibration_note": note, "abstaining": []}

    told = {**found, **{key: [plain(one) for one in found.get(key, ())] for key in ("cells", "members")}}
    if thresholds is not None:
        thresholds = tuple(special.expit(temperature * special.logit(thresholds)).tolist())
    return told, replace(calibration, temperature=1.0, thresholds=thresholds)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _check(model: TextModel, folder: Path) -> None:
    """Raises CheckError unless the folder holds the very model."""
    found = saved.load(folder, max_length=model.max_length)
    kept, wanted = found.network.state_dict(), model.network.state_dict()
    same = kept.keys() == wanted.keys() and all(
        torch.equal(kept[name], wanted[name].cpu()) for name in wanted
    )
    if not same or found.label_names != model.label_names or found.task != model.task:
        raise CheckError(
            "What was written does not read as the model that was trained. Nothing was left; please report this as a "
            "bug."
        )
