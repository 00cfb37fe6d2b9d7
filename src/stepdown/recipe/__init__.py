"""Recipes: what a run is made of, as a typed schema, checked whole before anything is spent.

`load` reads a shipped recipe or a file, `parse` a mapping, `dump` writes one back, `template` renders the
commented recipe that `stepdown init` leaves with the user. `load_pretraining` reads one of `stepdown pretrain`.
"""

from stepdown.recipe.files import dump, load, load_pretraining, load_sources, parse, shipped
from stepdown.recipe.pretraining import PretrainRecipe
from stepdown.recipe.schema import (
    Arm,
    CompareSpec,
    DataSpec,
    DistillSpec,
    Recipe,
    RungSpec,
    SourceSpec,
    TeacherSpec,
    TransferSpec,
)
from stepdown.recipe.settings import Kind, Loss, RungSettings
from stepdown.recipe.teachers import CALLABLE, LABELS, Scores, is_given, score_columns
from stepdown.recipe.template import run_name, template

__all__ = [
    "CALLABLE",
    "LABELS",
    "Arm",
    "CompareSpec",
    "DataSpec",
    "DistillSpec",
    "Kind",
    "Loss",
    "PretrainRecipe",
    "Recipe",
    "RungSettings",
    "RungSpec",
    "Scores",
    "SourceSpec",
    "TeacherSpec",
    "TransferSpec",
    "dump",
    "is_given",
    "load",
    "load_pretraining",
    "load_sources",
    "parse",
    "run_name",
    "score_columns",
    "shipped",
    "template",
]
