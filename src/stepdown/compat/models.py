"""A name, a folder or (model, tokenizer) as a model that can be trained and asked, and back into a folder."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from stepdown import assets, store, tokens
from stepdown.compat import columns
from stepdown.data.task import Task
from stepdown.errors import InputError, ModelError
from stepdown.students import huggingface, saved
from stepdown.students.huggingface import quiet
from stepdown.students.model import TextModel
from stepdown.students.transformer import HuggingFaceNetwork
from stepdown.tasks import TaskKind

# Where neither the tokenizer nor the model's positions say how long a text may be.
_LONGEST = 512
# transformers says "no limit" by numbers such as this one.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Given:
    """A model as a script has it.

    Attributes:
        text_model: as the rest of stepdown has it; its network holds the script's own classifier.
        tokenizer: the script's own.
        notes: what was found beside or instead of what the classifier needs, in plain lines.
    """

    text_model: TextModel
    tokenizer: Any
    notes: tuple[str, ...] = ()

    @property
    def classifier(self) -> Any:
        """The classifier of transformers."""
        assert isinstance(self.text_model.network, HuggingFaceNetwork)
        return self.text_model.network.classifier


def to_train(base: Any, task: Task, *, max_length: int | None, seed: int) -> Given:
    """The model that a script wants trained for a task: one by name gets the head that it takes, one given has it.

    Args:
        base: a name, a folder or (model, tokenizer); a given model is trained in place.
        task: what it is to answer.
        max_length: most ids of a text, None for as many as the model can take.
        seed: of a head that starts at random.

    Raises:
        ModelError: the model cannot be read, or has another number of outputs.
        HubError: it cannot be fetched.
    """
    outputs = len(task.label_names)
    if not isinstance(base, str | Path):
        given = _wrapped(base, max_length, task=task.kind, is_pair=task.is_pair)
        found = len(given.text_model.label_names)
        if found != outputs:
            raise ModelError(
                f"The model has {found} outputs and the data asks for {outputs}. "
                f"Load it with from_pretrained(…, num_labels={outputs})."
            )
    else:
        folder = assets.model(base)
        tokenizer = _tokenizer_of(folder)
        length, names = _length(tokenizer, max_length), _names_of(folder, outputs)
        loaded = huggingface.load(
            folder, names, max_length=length, seed=seed, task=task.kind, is_pair=task.is_pair
        )
        given = Given(loaded.model, tokenizer, loaded.notes)
    config = given.classifier.config
    config.problem_type = huggingface.PROBLEM_TYPES[task.kind]
    if task.is_pair or hasattr(config, huggingface.IS_PAIR):
        setattr(config, huggingface.IS_PAIR, task.is_pair)
    return given


def to_ask(
    given: Any, *, max_length: int | None = None, revision: str | None = None, is_pair: bool | None = None
) -> TextModel:
    """A classifier that a script names or holds, with its own head and labels.

    Args:
        given: a name, a folder (of a student of stepdown's too) or (model, tokenizer).
        max_length: most ids of a text, None for as many as the model can take.
        revision: of a hub model.
        is_pair: whether it is asked about pairs; None for what it says itself.

    Raises:
        ModelError: the model cannot be read, or its head is untrained.
        HubError: it cannot be fetched.
    """
    if not isinstance(given, str | Path):
        return _wrapped(given, max_length, is_pair=is_pair).text_model
    folder = Path(given).expanduser()
    if saved.family_in(folder) is not None:
        return saved.load(folder, max_length=max_length)
    folder = assets.model(given, revision=revision)
    length = _length(_tokenizer_of(folder), max_length)
    found = huggingface.load(folder, max_length=length, is_pair=is_pair)
    if not found.has_head:
        raise ModelError(
            f"The model {given} has no trained classification head, so it cannot classify yet. "
            "Train it with HFTrainer first, and take what that returns."
        )
    return found.model


def save(given: Given, folder: Path) -> None:
    """Write a model and its tokenizer where transformers and txtai find them; other files of the folder stay.

    Raises:
        StoreError: the disk fails.
    """
    with tempfile.TemporaryDirectory() as place, store.disk_failures(folder):
        with quiet():
            given.classifier.save_pretrained(place)
            given.tokenizer.save_pretrained(place)
        for path in sorted(Path(place).iterdir()):
            with path.open("rb") as content, store.write_file(folder / path.name) as file:
                shutil.copyfileobj(content, file)


def _wrapped(
    given: Any, max_length: int | None, *, task: TaskKind | None = None, is_pair: bool | None = None
) -> Given:
    """A (model, tokenizer) of transformers; task and pairs as it says itself where they are None."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InputError(
            f"A model is a {type(given).__name__} here; expected a name, a folder or (model, tokenizer)"
        )
    classifier, tokenizer = given
    if not hasattr(classifier, "config") or not hasattr(tokenizer, "save_pretrained"):
        raise InputError(
            f"(model, tokenizer) is ({type(classifier).__name__}, {type(tokenizer).__name__}); expected a model and "
            "a tokenizer of transformers, or the name of both as one string"
        )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        classifier.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        reader = tokens.from_huggingface(folder)
        rows = classifier.get_input_embeddings().weight.shape[0]
        if reader.vocab_size > rows:
            raise ModelError(
                f"The model has embeddings for {rows:,} tokens and the tokenizer knows {reader.vocab_size:,}: they do "
                "not belong together."
            )
        length = _length(tokenizer, max_length)
        text_model = huggingface.wrapped(
            classifier, reader, folder, max_length=length, task=task, is_pair=is_pair
        )
    # Whoever asks a network puts it back into the mode that it was in.
    text_model.network.train(classifier.training)
    return Given(text_model, tokenizer)


def _tokenizer_of(folder: Path) -> Any:
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # whatever is wrong with the files
        raise ModelError(f"The tokenizer in {folder} cannot be read: {error}") from error


def _length(tokenizer: Any, max_length: int | None) -> int:
    """Most ids of a text: what is asked for, as far as the tokenizer's own limit allows."""
    own = getattr(tokenizer, "model_max_length", _NO_LIMIT)
    own = own if own < _NO_LIMIT else None
    return min((length for length in (own, max_length) if length is not None), default=_LONGEST)


def _names_of(folder: Path, outputs: int) -> tuple[str, ...]:
    """What a checkpoint calls its labels, if it has as many; else names that say nothing."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        names = tuple(str(config.id2label[index]) for index in range(config.num_labels))
    except Exception:  # told in the user's words by whoever reads the model itself
        names = ()
    return names if len(names) == outputs else columns.names(outputs)
