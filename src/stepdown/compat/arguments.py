"""The names of transformers' TrainingArguments: what they mean here, and a refusal of what would be ignored wrongly."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from stepdown import train
from stepdown.errors import InputError

Decay = Literal["cosine", "linear"]
Precision = Literal["float32", "bfloat16", "fastest"]


@dataclass(frozen=True)
class Arguments:
    """How to train, with transformers' defaults.

    Attributes:
        epochs: passes over the texts, whole or not.
        max_steps: updates in their place, if above 0.
        batch_size: texts of one pass through the network.
        accumulate: passes of one update.
        warmup: updates over which the rate rises; below 1, their share.
        clip_norm: largest gradient norm, infinite for none.
        precision: `fastest` (said as fp16) is bfloat16 where the device has it, else float32.
        output_dir: where the model is saved; None for nowhere.
        overwrite: whether it may replace what is there without a warning.
        use_cpu: whatever else there is.
        every_epoch: measure on the validation texts after each epoch, and not only at the end.
        quiet: tell nothing.
    """

    learning_rate: float = 5e-5
    epochs: float = 3.0
    max_steps: int = -1
    batch_size: int = 8
    accumulate: int = 1
    weight_decay: float = 0.0
    warmup: float = 0.0
    decay: Decay = "linear"
    clip_norm: float = 1.0
    seed: int = 42
    precision: Precision = "float32"
    output_dir: Path | None = None
    overwrite: bool = False
    use_cpu: bool = False
    every_epoch: bool = False
    quiet: bool = False

    def schedule(self, texts: int) -> train.Schedule:
        """The schedule for so many texts: updates, warm-up and decay as transformers counts them.

        All weights have one learning rate, as there.
        """
        update = self.batch_size * self.accumulate
        per_epoch = -(-texts // update)
        updates = self.max_steps if self.max_steps > 0 else math.ceil(self.epochs * per_epoch)
        rising = math.ceil(updates * self.warmup) if self.warmup < 1 else int(self.warmup)
        return train.Schedule(
            epochs=-(-updates // per_epoch),
            batch_size=update,
            learning_rate=self.learning_rate,
            accumulate=self.accumulate,
            weight_decay=self.weight_decay,
            # Half an update more, so that the share of the updates is not rounded to one too few.
            warmup=(rising + 0.5) / updates if rising else 0.0,
            clip_norm=self.clip_norm,
            seed=self.seed,
            fresh_rate=1.0,
            decay=self.decay,
            most_updates=updates,
        )


# What changes when, where and how much is written or told, how data are fetched, and how much memory or time it takes,
# but not what is learnt. Texts are grouped by length here in any case.
_HARMLESS_KINDS = (
    "activation_checkpointing",
    "dataloader_",
    "eval_",
    "gradient_checkpointing",
    "log_",
    "logging_",
    "save_",
    "torch_compile",
)
_HARMLESS = frozenset(
    {
        "average_tokens_across_devices",
        "do_eval",
        "do_train",
        "full_determinism",
        "group_by_length",
        "length_column_name",
        "per_device_eval_batch_size",
        "remove_unused_columns",
        "run_name",
        "skip_memory_metrics",
        "tf32",
        "torch_empty_cache_steps",
        "train_sampling_strategy",
        "trust_remote_code",
    }
)
# Names of older versions of transformers among them, and one that is none of its TrainingArguments.
_OTHERS = frozenset({"group_by_length", "logging_dir", "save_safetensors", "trust_remote_code"})

_INSTEAD: Mapping[str, str] = {
    "load_best_model_at_end": "the last epoch is kept; `stepdown run` chooses on a selection split of its own",
    "metric_for_best_model": "the last epoch is kept; `stepdown run` chooses on a selection split of its own",
    "greater_is_better": "the last epoch is kept; `stepdown run` chooses on a selection split of its own",
    "resume_from_checkpoint": "no checkpoints are written; `stepdown run` takes up an interrupted run",
    "push_to_hub": "nothing is uploaded; save with output_dir and upload that folder",
    "report_to": "nothing is reported to other services; progress is told on stderr",
    "optim": "weights are moved by AdamW (adamw_torch)",
    "lr_scheduler_type": "the learning rate falls as `linear` or `cosine`",
    "data_seed": "the order of the texts goes by seed",
    "label_smoothing_factor": "labels are taken as they are",
    "deepspeed": "one process trains; `torchrun -m stepdown run` takes several",
    "fsdp": "one process trains; `torchrun -m stepdown run` takes several",
}

_DECAYS: tuple[Decay, ...] = ("linear", "cosine")
_ADAMW = ("adamw_torch", "adamw_torch_fused")


def read(given: Mapping[str, Any]) -> Arguments:
    """The arguments that a script gives.

    A name that means something here does; one that changes no result is taken and ignored; any other may have its
    default value alone.

    Raises:
        InputError: names that transformers does not have, values that cannot be, and what is not supported; all at
            once.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            fields = _MEANING[name](value) if name in _MEANING else _default(name, value)
        except (TypeError, ValueError) as error:
            faults.append(f"{name}={value!r}: {error}")
        else:
            values |= {field: kept for field, kept in fields.items() if kept is not None}
    if faults:
        raise InputError("\n".join(["HFTrainer cannot take these arguments:", *(f"  - {f}" for f in faults)]))
    return Arguments(**values)


def _default(name: str, value: Any) -> dict[str, Any]:
    """Nothing, if a name means nothing here, or has the value that changes nothing."""
    if name in _OTHERS:
        return {}
    known = _defaults()
    if name not in known:
        near = difflib.get_close_matches(name, [*known, *_MEANING], n=1)
        raise ValueError("no such argument" + (f"; did you mean {near[0]}?" if near else ""))
    if name in _HARMLESS or name.startswith(_HARMLESS_KINDS):
        return {}
    nothing = value is None or value is False or value == [] or value == "none"
    if not nothing and value != known[name]:
        raise ValueError(f"not supported: {_INSTEAD.get(name, f'leave it at {known[name]!r}')}")
    return {}


def _defaults() -> dict[str, Any]:
    from transformers import TrainingArguments

    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(TrainingArguments)
    }


# Reads a value into fields of Arguments; None keeps the default.
_Reads = Callable[[Any], dict[str, Any]]


def _number(field: str, least: float, *, above: bool = False) -> _Reads:
    def reads(value: Any) -> dict[str, Any]:
        number = float(value)
        if not math.isfinite(number) or number < least or (above and number == least):
            raise ValueError(f"expected a number {'above' if above else 'of at least'} {least:g}")
        return {field: number}

    return reads


def _count(field: str, least: int) -> _Reads:
    def reads(value: Any) -> dict[str, Any]:
        if int(value) != value or value < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return {field: int(value)}

    return reads


def _flag(field: str) -> _Reads:
    return lambda value: {field: bool(value)}


def _named(value: Any) -> str:
    """The name that an enumeration of transformers, or a string, stands for."""
    return str(getattr(value, "value", value))


def _never(why: str) -> _Reads:
    def reads(value: Any) -> dict[str, Any]:
        if value:
            raise ValueError(f"not supported: {why}")
        return {}

    return reads


def _one_of(name: str, known: tuple[str, ...]) -> _Reads:
    def reads(value: Any) -> dict[str, Any]:
        if _named(value) not in known:
            raise ValueError(f"not supported: {_INSTEAD[name]}")
        return {}

    return reads


def _decay(value: Any) -> dict[str, Any]:
    _one_of("lr_scheduler_type", _DECAYS)(value)
    return {"decay": cast(Decay, _named(value))}


def _ratio(value: Any) -> dict[str, Any]:
    if not 0 <= float(value) < 1:
        raise ValueError("expected a share from 0 to below 1")
    return {"warmup": float(value)}


def _clip(value: Any) -> dict[str, Any]:
    return {"clip_norm": float(value) if value and value > 0 else math.inf}


def _evaluation(value: Any) -> dict[str, Any]:
    return {"every_epoch": _named(value) == "epoch"}


_MEANING: Mapping[str, _Reads] = {
    "learning_rate": _number("learning_rate", 0),
    "num_train_epochs": _number("epochs", 0, above=True),
    "max_steps": _count("max_steps", -1),
    "per_device_train_batch_size": _count("batch_size", 1),
    "gradient_accumulation_steps": _count("accumulate", 1),
    "weight_decay": _number("weight_decay", 0),
    "warmup_steps": _number("warmup", 0),
    "warmup_ratio": _ratio,
    "max_grad_norm": _clip,
    "lr_scheduler_type": _decay,
    "optim": _one_of("optim", _ADAMW),
    "seed": _count("seed", 0),
    "bf16": lambda value: {"precision": "bfloat16" if value else None},
    "fp16": lambda value: {"precision": "fastest" if value else None},
    "output_dir": lambda value: {"output_dir": Path(value) if value else None},
    "overwrite_output_dir": _flag("overwrite"),
    "use_cpu": _flag("use_cpu"),
    "no_cuda": _flag("use_cpu"),
    "eval_strategy": _evaluation,
    "evaluation_strategy": _evaluation,
    "disable_tqdm": _flag("quiet"),
    "dataloader_drop_last": _never("every text is learnt from in every epoch"),
}
