"""Where a pretraining stands, on disk: weights, the optimizer's state, the curve so far.

Each checkpoint is a folder of its own that is complete when its manifest is there; only then the one before it goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from stepdown import store
from stepdown.pretraining.fit import Learner

_WEIGHTS, _OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
# What AdamW keeps of each parameter beside the number of its updates.
_MOMENTS = ("exp_avg", "exp_avg_sq")


def save(folder: Path, key: str, learner: Learner, record: dict[str, Any]) -> None:
    """Put a checkpoint into the folder of checkpoints, and remove those before it.

    Args:
        folder: of checkpoints.
        key: digest of all that the pretraining is made from.
        learner: between two updates.
        record: JSON values that come back with it.

    Raises:
        StoreError: the disk is full or fails; the checkpoint before is still there.
    """
    path = folder / f"update-{learner.done:09d}"
    with store.write_folder(path) as unfinished:
        save_file(_on_cpu(learner.network.state_dict()), unfinished / _WEIGHTS)
        save_file(_on_cpu(dict(_state(learner))), unfinished / _OPTIMIZER)
        store.finish(unfinished, {"key": key, "done": learner.done, "record": record})
    for other in folder.glob("update-*"):
        if other != path:
            shutil.rmtree(other, ignore_errors=True)


def restore(folder: Path, key: str, learner: Learner) -> dict[str, Any] | None:
    """Bring a fresh learner to where the last whole checkpoint stands.

    Args:
        folder: of checkpoints; it may be absent.
        key: that the checkpoint must have been made from.
        learner: fresh; nothing happens to it where there is no checkpoint.

    Returns:
        The checkpoint's record, or None where there is none.

    Raises:
        StoreError: something is there and cannot be read.
    """
    found = last(folder, key)
    if found is None:
        return None
    path, manifest = found
    with store.disk_errors(path, "read"):
        weights, state = load_file(path / _WEIGHTS), load_file(path / _OPTIMIZER)
    learner.network.load_state_dict(weights)
    learner.done = manifest["done"]
    for name, parameter in learner.network.named_parameters():
        moments = {moment: state[f"{moment}.{name}"].to(parameter.device) for moment in _MOMENTS}
        step = torch.tensor(float(learner.done), device=parameter.device)
        learner.optimizer.state[parameter] = {"step": step, **moments}
    record: dict[str, Any] = manifest["record"]
    return record


def last(folder: Path, key: str) -> tuple[Path, dict[str, Any]] | None:
    """Folder and manifest of the last whole checkpoint that was made from `key`; None where there is none.

    Raises:
        StoreError: something is there and cannot be read.
    """
    for path in sorted(folder.glob("update-*"), reverse=True):
        manifest = store.finished(path, key, verify=True)
        if manifest is not None:
            return path, manifest
    return None


def _state(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in learner.network.named_parameters():
        kept = learner.optimizer.state.get(parameter)
        for moment in _MOMENTS:
            # Before the first update there is nothing yet.
            yield f"{moment}.{name}", torch.zeros_like(parameter) if kept is None else kept[moment]


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
