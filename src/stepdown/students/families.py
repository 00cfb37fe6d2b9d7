"""The students that are built to a budget, as one: their sizes, their networks, and how both are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import Tensor, nn

from stepdown.recipe.settings import Family
from stepdown.students.bag import BagNetwork, BagShape
from stepdown.students.compact import CompactNetwork, CompactShape

Shape = CompactShape | BagShape

_SHAPES: Mapping[Family, type[Shape]] = {"compact": CompactShape, "bag": BagShape}
_NETWORKS: Mapping[type, Callable[[Any], nn.Module]] = {CompactShape: CompactNetwork, BagShape: BagNetwork}


def family_of(shape: Shape) -> Family:
    """The family of which it is."""
    return next(family for family, kind in _SHAPES.items() if isinstance(shape, kind))


def network(shape: Shape) -> nn.Module:
    """A fresh network of these sizes."""
    return _NETWORKS[type(shape)](shape)


def to_dict(shape: Shape) -> dict[str, Any]:
    """Plain JSON values of the sizes."""
    return {**asdict(shape), "tiers": [list(tier) for tier in shape.tiers]}


def from_dict(family: Family, about: Mapping[str, Any]) -> Shape:
    """Sizes as `to_dict` wrote them; other keys are passed over, and students of old that had no core are a GRU's.

    Raises:
        KeyError, TypeError, ValueError: they are no such sizes.
    """
    kind = _SHAPES[family]
    known = {field.name: about[field.name] for field in fields(kind) if field.name in about}
    return kind(**{**known, "tiers": tuple((int(rows), int(columns)) for rows, columns in about["tiers"])})


def weights_as_named_now(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a student that was saved before there was a choice of cores: its GRU stood beside the rest."""
    return {
        f"core.{name}" if name.startswith(("forward_gru.", "backward_gru.")) else name: value
        for name, value in weights.items()
    }
