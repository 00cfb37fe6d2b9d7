"""Any classifier that can be named, ready to be asked: a bundle, a shipped model, a model's folder, a hub id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from stepdown import assets, outputs, store, targets
from stepdown.errors import InputError
from stepdown.ladder.finished import calibration_in, source_digest
from stepdown.outputs import UNCALIBRATED, Calibration
from stepdown.runtime import Classifier
from stepdown.runtime.inputs import as_given
from stepdown.runtime.shipped import find, shipped
from stepdown.students import saved
from stepdown.students.model import fast_precision, logits
from stepdown.targets import Labeller, ModelLabeller
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Named:
    """A classifier, as it was found by its name.

    Attributes:
        name: as the user calls it.
        label_names: in the order of its outputs.
        task: what they are.
        is_pair: whether it reads pairs of texts.
        ask: outputs, float32 [n, outputs], of n texts.
        labeller: the same in chunks that are kept, at the precision that the device is fast at.
        calibration: of a bundle, and of a cell of a run; of other models there is none.
    """

    name: str
    label_names: tuple[str, ...]
    task: TaskKind
    is_pair: bool
    ask: Callable[[Sequence[str]], np.ndarray]
    labeller: Labeller
    calibration: Calibration = UNCALIBRATED

    def probabilities(self, said: np.ndarray) -> np.ndarray:
        """Probabilities, float32 [n, labels], of outputs."""
        return outputs.probabilities(self.task, said, self.calibration.temperature)


def named(name: str, max_length: int | None = None) -> Named:
    """The classifier of a name.

    Args:
        name: of a bundle, of a model that comes with stepdown, of a folder, or a hub id.
        max_length: most tokens of a text that a model reads; None for what it was made for.

    Raises:
        BundleError, ModelError: there is none, it is damaged, or it has no trained head.
        InputError: a length is asked for of a bundle, which reads as it was packed.
        HubError: a hub did not deliver.
    """
    path = Path(name)
    is_model = saved.family_in(path) is not None or (path / "config.json").is_file()
    if path.is_file() or (path / "bundle.json").is_file() or (name in shipped() and not is_model):
        if max_length is not None:
            raise InputError(
                f"{name} is a bundle, which reads as many tokens as it was packed for. Leave the length out."
            )
        return _bundle(name)
    folder = path if saved.family_in(path) else assets.model(name)
    model = saved.load(folder, max_length=max_length)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.network.to(device)
    precision = fast_precision(device) if model.kind == "huggingface" else torch.float32
    return Named(
        name,
        model.label_names,
        model.task,
        model.is_pair,
        lambda texts: logits(model, model.encode(texts)),
        ModelLabeller(model, store.digest(source_digest(folder), *model.label_names), precision),
        calibration_in(path),
    )


def _bundle(name: str) -> Named:
    packed = Classifier.load(name)

    def ask(texts: Sequence[str]) -> np.ndarray:
        return packed.logits(as_given(texts, is_pair=packed.is_pair))

    return Named(
        name,
        packed.label_names,
        packed.task,
        packed.is_pair,
        ask,
        _BundleLabeller(ask, store.digest(find(name), onnxruntime.__version__), len(packed.label_names)),
        packed.about.calibration,
    )


@dataclass(frozen=True)
class _BundleLabeller:
    """A bundle that answers in chunks, which are kept as those of any teacher."""

    outputs_of: Callable[[Sequence[str]], np.ndarray]
    digest: str
    outputs: int

    def key(self, chunk_digest: str) -> str:
        return store.digest(self.digest, chunk_digest)

    def ask(self, texts: Sequence[str], chunk_digest: str) -> np.ndarray:
        shape = (len(texts), self.outputs)
        return targets.kept(
            targets.place("targets", self.key(chunk_digest)),
            "targets",
            lambda found: found.shape == shape,
            lambda: self.outputs_of(texts),
        )
