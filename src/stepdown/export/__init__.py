"""Packs a trained model as a bundle that runs without torch, and proves that it still says the same."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from stepdown import __version__, runtime
from stepdown.errors import BundleError, CheckError, ModelError
from stepdown.export import graphs, integers, proof
from stepdown.export.loss import Loss, loss
from stepdown.outputs import UNCALIBRATED, Calibration
from stepdown.runtime import LongTexts, about, bundle, inputs
from stepdown.runtime.about import WeightType
from stepdown.students.model import TextModel

__all__ = ["CheckTexts", "Description", "Form", "Loss", "export"]

_LARGER: dict[WeightType, WeightType] = {"int8": "float32", "int4": "int8"}


@dataclass(frozen=True)
class Form:
    """What kind of bundle is made.

    Attributes:
        weights: what they are stored as; the bundle computes in float32 either way.
        accept_loss: write it even if smaller weights change more than `Loss.acceptable` allows.
        long_texts: how texts longer than those learnt from are read; None: like any other.
    """

    weights: WeightType = "float32"
    accept_loss: bool = False
    long_texts: LongTexts | None = None


@dataclass(frozen=True)
class CheckTexts:
    """Real texts of the task, on which a bundle is compared with what it was made from.

    Attributes:
        texts: n of them; pairs as `tasks.joined` makes them.
        labels: int64 [n], an index into the answers; −1 where it is not known.
        answers: as `data.dataset.Task` has them, float32 [answers, outputs]; None where each label is one of them.
        is_pair: the texts are pairs, and so the bundle is one that reads pairs.
    """

    texts: Sequence[str]
    labels: np.ndarray
    answers: np.ndarray | None = None
    is_pair: bool = False

    def truth(self, outputs: int) -> np.ndarray:
        """The right answers, float32 [n, outputs]; rows of NaN where they are not known."""
        answers = np.eye(outputs, dtype=np.float32) if self.answers is None else self.answers
        found = np.full((len(self.texts), outputs), np.nan, np.float32)
        known = self.labels >= 0
        found[known] = answers[self.labels[known]]
        return found


@dataclass(frozen=True)
class Description:
    """What a bundle says beside its network.

    Attributes:
        card: makes the text of README.md from the bytes of network and tokenizer, and from what smaller weights cost.
        sources: what the model was made from.
        calibration: of its probabilities, thresholds of a multi-label task among it.
    """

    card: Callable[[int, Loss | None], str]
    sources: Sequence[about.Source] = ()
    calibration: Calibration = UNCALIBRATED


def export(
    model: TextModel, target: Path, checks: CheckTexts, description: Description, form: Form | None = None
) -> Loss | None:
    """Write a bundle, compared on real texts with what it is made from before it takes its place.

    Args:
        model: trained.
        target: a folder, or a single file if its name ends in `.stepdown`; a bundle that was there is replaced.
        checks: odd texts (empty, very long, other scripts, random bytes) are added to them.
        description: what the bundle says.
        form: of the bundle; float32 and no rule for long texts if None.

    Returns:
        What smaller weights cost; None for float32.

    Raises:
        CheckError: the bundle does not say what the model says, or smaller weights change too many labels; nothing
            is written.
        ModelError: its network is none that a bundle may have.
        StoreError: the disk fails.
    """
    form = form or Form()
    says = about.About(
        label_names=model.label_names,
        max_length=model.max_length,
        tokenizer=model.tokenizer.spec(),
        calibration=description.calibration,
        parameters=model.parameters,
        versions=_versions(),
        sources=tuple(description.sources),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=model.task,
        is_pair=checks.is_pair,
    )
    files = _files(model, says)
    exact = bundle.Bundle(says, files)
    try:
        packed = runtime.Classifier(exact, str(target))
    except BundleError as error:
        raise ModelError(f"{model.description} cannot be packed as a bundle. {error}") from error
    proof.compare(model, packed, checks.texts)
    says = replace(says, long_texts=form.long_texts)
    cost = None
    if form.weights != "float32":
        exact = bundle.Bundle(says, files)
        name = says.weights.file
        says = replace(says, weights=replace(says.weights, type=form.weights))
        files = {**files, name: integers.quantised(files[name], form.weights)}
        cost = _lost(exact, bundle.Bundle(says, files), checks)
        if not (cost.acceptable or form.accept_loss):
            raise CheckError(
                f"Stored as {form.weights}, {cost}. {cost.bound} Nothing was written. Keep larger weights (--weights "
                f"{_LARGER[form.weights]}), or take it as it is (--accept-loss)."
            )
    size = sum(map(len, files.values()))
    bundle.write(target, says, {**files, bundle.CARD: description.card(size, cost).encode()})
    return cost


def _files(model: TextModel, says: about.About) -> dict[str, bytes]:
    """Network and tokenizer, by file name."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        graphs.write(model, folder / says.weights.file)
        model.tokenizer.save(folder)
        names = [says.weights.file, *says.tokenizer["files"]]
        return {name: (folder / name).read_bytes() for name in names}


def _lost(before: bundle.Bundle, after: bundle.Bundle, checks: CheckTexts) -> Loss:
    says = before.about
    texts = inputs.as_given(checks.texts, is_pair=says.is_pair)
    answers = [one.decisions(one.logits(texts)) for one in map(runtime.Classifier, (before, after))]
    return loss(says.task, answers[0], answers[1], checks.truth(len(says.label_names)))


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "onnx", "onnxruntime", "numpy")
    return {
        "stepdown": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
