"""Where a model of a run comes from, as far as a hub has it: what the metadata of its card may name.

A name is a hub's only where that is known: the run recorded a commit of it, a built-in is published under it, or
whoever wrote `[[sources]]` says that others know it by that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown import assets, recipe
from stepdown.recipe import Recipe
from stepdown.report import Origin
from stepdown.runtime import Source

# `owner/name`, then perhaps a configuration, a split, and a remark in brackets.
_PUBLIC = re.compile(r"(?P<id>[^\s/:#]+/[^\s/:#]+)(:(?P<config>[^\s#:]+))?(#\S+)?(\s+\(.*\))?")
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class _Published:
    """What a hub has: its id, and the configuration that is meant, if one is."""

    id: str
    config: str | None


def origin(found: Mapping[str, Any], cell: str, sources: Sequence[Source]) -> Origin:
    """Where a model comes from.

    Args:
        found: the results of its run.
        cell: its id.
        sources: that its card names.
    """
    spec, environment = recipe.parse(found["recipe"]), found["environment"]
    commits: Mapping[str, str] = environment.get("data", {})
    source, unlabeled = spec.data.source or str(spec.data.train), _unlabeled(spec)
    written = [one for one in sources if one.name not in (source, *unlabeled)]

    def fetched(name: str) -> _Published | None:
        public = _published(name)
        return public if public and public.id in commits else None

    named = (public for one in written if one.role == "data" and (public := _published(one.name)))
    measured = fetched(source) or next(named, None)
    more = (_published(one.name) for one in written if one.role not in ("teacher", "rung"))
    learnt = [measured, *map(fetched, unlabeled), *more]
    models = [known for name in _models(spec, found, cell) if (known := _of_model(name, environment))]
    return Origin(
        measured_on=next((one.name for one in sources if one.role == "data"), Path(source).name),
        dataset=measured.id if measured else None,
        config=measured.config if measured else None,
        revision=commits.get(measured.id) if measured else None,
        datasets=tuple(dict.fromkeys(one.id for one in learnt if one)),
        base_models=tuple(dict.fromkeys(models)),
    )


def _unlabeled(spec: Recipe) -> Sequence[str]:
    return spec.transfer.unlabeled if spec.transfer else ()


def _published(name: str) -> _Published | None:
    read = _PUBLIC.fullmatch(name)
    if read is None or not assets.is_hub_id(read["id"]):
        return None
    return _Published(read["id"], read["config"])


def _models(spec: Recipe, found: Mapping[str, Any], cell: str) -> Sequence[str]:
    """The models, by their names in the recipe, that a cell began as; of one that is built anew, its teachers."""
    members = [one["id"] for one in found.get("members", ())]
    if cell in members:
        return [spec.teacher.model[members.index(cell)]]
    position = next(one["position"] for one in found["cells"] if one["id"] == cell)
    if position > 0:
        rung = spec.resolved_rung(position - 1)
        if rung.kind == "huggingface":
            return [rung.model]
    return spec.teacher.model


def _of_model(name: str, environment: Mapping[str, Any]) -> str | None:
    """The hub id of a model that a recipe names."""
    if assets.is_builtin(name):
        # A built-in's source begins with where it was published first, if that was a hub.
        public = _published(assets.BUILTINS[name].source.partition(" ")[0])
        return public.id if public else None
    return name if _COMMIT.fullmatch(environment.get("models", {}).get(name, "")) else None
