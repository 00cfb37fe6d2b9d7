"""Packs a trained model as a bundle that runs without torch, and proves that it still says the same."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from stepdown import __version__, runtime
from stepdown.errors import CheckError
from stepdown.export import graphs
from stepdown.runtime import about, bundle
from stepdown.students.model import TextModel, logits

# Largest difference between a trained model's and its bundle's probability of any label. Both compute in float32,
# in another order of operations; measured differences are below 1e-5.
TOLERANCE = 1e-3
# Texts that no one trained on but someone will send.
_ODD_TEXTS = (
    "",
    " ",
    "!!!",
    "🙂",
    "电影很好看",
    "فيلم رائع",
    "a" * 5000,
    "word " * 2000,
    "\x00\ufffd",
    "é É ﬁ",
)


def export(
    model: TextModel,
    target: Path,
    *,
    check_texts: Sequence[str],
    calibration: about.Calibration,
    sources: Sequence[about.Source],
    card: str,
) -> None:
    """Write a bundle and compare it with the model on real texts before it takes its place.

    Args:
        model: trained.
        target: a folder, or a single file if its name ends in `.stepdown`; a bundle that was there is replaced.
        check_texts: real texts of the task; odd ones (empty, very long, other scripts) are added.
        calibration: of the bundle's probabilities.
        sources: what the model was made from.
        card: the text of README.md.

    Raises:
        CheckError: the bundle does not say what the model says; nothing is left at `target`.
        StoreError: the disk fails.
    """
    says = about.About(
        label_names=model.label_names,
        max_length=model.max_length,
        tokenizer=model.tokenizer.spec(),
        calibration=calibration,
        parameters=model.parameters,
        versions=_versions(),
        sources=tuple(sources),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        graphs.write(model, folder / says.weights.file)
        model.tokenizer.save(folder)
        names = [says.weights.file, *says.tokenizer["files"]]
        files = {name: (folder / name).read_bytes() for name in names}
    files["README.md"] = card.encode()
    packed = bundle.Bundle(says, files)
    _compare(model, runtime.Classifier(packed, str(target)), [*check_texts, *_ODD_TEXTS])
    bundle.write(target, says, files)


def _compare(model: TextModel, packed: runtime.Classifier, texts: Sequence[str]) -> None:
    trained = logits(model, model.encode(texts)) / packed.temperature
    expected = np.exp(trained - trained.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    found = packed.predict_proba(texts)
    worst = np.abs(expected - found).max(1)
    text = int(worst.argmax())
    if worst[text] > TOLERANCE:
        raise CheckError(
            f"The bundle does not say what the trained model says: on {int((worst > TOLERANCE).sum())} of "
            f"{len(texts)} texts a probability is off by more than {TOLERANCE}, by {worst[text]:.4f} on "
            f"{texts[text][:60]!r}. Nothing was written; please report this as a bug."
        )


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "onnx", "onnxruntime", "numpy")
    return {
        "stepdown": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
