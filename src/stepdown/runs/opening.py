"""Makes a run ready: reads and cuts the data, gathers the transfer set, fetches the models, lays out the cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from numpy.typing import NDArray

from stepdown import assets, data, packing, recipe, store, tokens, transfer
from stepdown.errors import DataError, InputError
from stepdown.ladder import teachers
from stepdown.ladder.called import Called, Scorer
from stepdown.ladder.context import Context, Given, data_key
from stepdown.ladder.plan import plan
from stepdown.recipe import Arm, Recipe
from stepdown.recipe.settings import is_pretrained
from stepdown.students import embeddings, huggingface, lexicon, pretrained
from stepdown.students.model import fast_precision

VERSIONS = "versions.json"
"""The file of a run that says of which commits what came from the hub is."""

# What `stepdown pretrain` writes into its folder first, and last.
_OF_A_PRETRAINING = ("inputs.json", "pretraining.json")


def open_run(
    chosen: Recipe, out: Path, fetching: assets.Progress | None = None, scorer: Scorer | None = None
) -> Context:
    """Read and cut the data, gather the transfer set, fetch the models, lay out the cells; `out` is not written yet.

    What comes from a hub is of the commits that the run began with, if it did.

    Args:
        chosen: the recipe.
        out: the run's folder.
        fetching: called with (name, bytes done, bytes in all) while something is downloaded.
        scorer: the teacher, where the recipe says that it is a function (`callable:…`).

    Raises:
        InputError: what the recipe names is missing or unusable, or the folder holds a pretraining.
        ModelError: there is no such model, or it cannot read pairs.
        HubError: a hub or package index did not deliver.
    """
    if any((out / name).exists() for name in _OF_A_PRETRAINING):
        raise InputError(f"{out} holds a pretraining of `stepdown pretrain`. Name another folder with --out.")
    # Some classifiers hold layers that a forward pass leaves out, which torch otherwise refuses with several processes.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[unused])
    tell: assets.Progress = fetching or (lambda name, done, total: None)
    top = chosen.teacher.model[0]
    if top.startswith(recipe.CALLABLE) and scorer is None:
        raise InputError(
            f"teacher.model is {top}: a function, which only a Python program can give. Take the run up with "
            "stepdown.distill(…, teacher=the function, out=the folder), or name a model."
        )
    with assets.following(_begun_with(out), fetching) as versions:
        with accelerator.main_process_first():
            for name in (chosen.data.source, chosen.data.train):
                if name is not None and assets.is_builtin(name):
                    assets.data(name, partial(tell, name))
        dataset = data.load(chosen.data, chosen.seed, _from_teacher(chosen, tell, accelerator))
        arms = _arms(chosen, dataset)
        is_model = not recipe.is_given(top)
        with accelerator.main_process_first():
            names = [*(chosen.teacher.model if is_model else ()), *packing.rung_models(chosen)]
            models = {name: _model(name, tell, is_pair=dataset.task.is_pair) for name in names}
        meaning = _meaning(chosen, models[top], accelerator.device) if is_model else None
        gathered = transfer.build(dataset, chosen.transfer, chosen.seed, meaning)
    teacher: Given | None = dataset.soft
    if scorer is not None:
        teacher = Called(scorer, dataset.task, out / "answers", chosen.teacher.scores)
    return Context(
        chosen,
        plan(len(chosen.rungs), arms, chosen.compare.seeds, len(chosen.teacher.model)),
        out,
        dataset,
        gathered,
        models,
        data_key(dataset),
        accelerator,
        fast_precision(accelerator.device),
        versions,
        teacher,
    )


def _model(name: str, tell: assets.Progress, *, is_pair: bool) -> Path:
    """The folder of a model that a recipe names."""
    if not is_pretrained(name):
        return assets.model(name, progress=partial(tell, name))
    pretrained.load(Path(name), is_pair=is_pair)  # whether it can serve, before the teacher is trained
    return Path(name)


def _from_teacher(chosen: Recipe, tell: assets.Progress, accelerator: Accelerator) -> data.FromTeacher:
    """What the teacher has to do with the data: it stands in them, or says what labels there are if they have none."""
    spec, top = chosen.teacher, chosen.teacher.model[0]
    columns = recipe.score_columns(top)
    if columns is not None:
        return data.FromTeacher(soft=data.Wanted(columns, spec.scores))

    def task(is_pair: bool) -> data.Task:
        if recipe.is_given(top):
            return _task_of_callable(chosen, is_pair=is_pair)
        with accelerator.main_process_first():
            folder = assets.model(top, progress=partial(tell, top))
        return teachers.task_of(
            folder,
            top,
            label_names=chosen.data.label_names,
            kind=chosen.data.task,
            label_map=spec.label_map,
            max_length=chosen.data.max_length,
            is_pair=is_pair,
        )

    return data.FromTeacher(task=task)


def _task_of_callable(chosen: Recipe, *, is_pair: bool) -> data.Task:
    """What a function is for, where no text has a label: nothing tells but its user."""
    kind, names = chosen.data.task or "single-label", chosen.data.label_names
    if kind == "regression":
        return data.Task.without_answers(kind, ("value",), is_pair=is_pair)
    if names is None:
        raise DataError(
            "No text has a label, and the teacher is a function, so nobody says what the labels are called. Name them "
            'with label_names, in the order of its scores; or say task = "regression".'
        )
    return data.Task.without_answers(kind, names, is_pair=is_pair)


def _arms(chosen: Recipe, dataset: data.Dataset) -> tuple[Arm, ...]:
    """The arms that are run: where no text of train has a label, all but `direct`.

    Raises:
        DataError: then there are no others, or a rung is to learn from labels as well.
    """
    if dataset.train.is_labelled:
        return chosen.compare.arms
    asked = {
        key: getattr(chosen.resolved_rung(index), key)
        for index in range(len(chosen.rungs))
        for key in ("hard_weight", "gold_epochs", "class_weights")
        if getattr(chosen.resolved_rung(index), key)
    }
    arms = tuple(arm for arm in chosen.compare.arms if arm != "direct")
    if asked or not arms:
        what = " and ".join(f"{key} = {str(value).lower()}" for key, value in asked.items())
        raise DataError(
            f"No text of train has a label, so there is nothing to learn from labels: {what or 'the arm direct'} "
            f"cannot be. {'Leave it out' if what else 'Take one-hop, chain or dense'}, or add labels."
        )
    return arms


def _begun_with(out: Path) -> Mapping[str, str]:
    """The commits of the hub's repositories that a run took when it began; none if it did not begin."""
    path = out / VERSIONS
    return dict(store.read_json(path)) if path.is_file() else {}


def moved(context: Context) -> list[str]:
    """What the hub has newer versions of than the run began with, in plain lines."""
    return [
        f"{name.partition(' ')[2]} has changed on the hub since this run began ({context.versions.known[name][:12]}, "
        f"now {commit[:12]}). The run stays with what it began with; to take the new version, name another folder "
        "with --out."
        for name, commit in context.versions.moved.items()
    ]


def _meaning(chosen: Recipe, folder: Path, device: torch.device) -> transfer.Meaning:
    """What the teacher knows of words before it is fine-tuned; it is loaded where somebody asks."""

    def vectors(words: Sequence[str]) -> NDArray[np.float32]:
        model = huggingface.load(folder, max_length=chosen.data.max_length).model
        model.network.to(device)
        return embeddings.meaning(model, words, precision=fast_precision(device))

    return transfer.Meaning(vectors, lambda: lexicon.whole_words(tokens.from_huggingface(folder)))
