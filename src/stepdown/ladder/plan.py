"""The plan of a run: which models are trained, from whom, in which order. Pure: recipe in, cells out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Arm = Literal["direct", "one-hop", "chain", "dense"]

TEACHER = "teacher"


@dataclass(frozen=True)
class Cell:
    """One unit of work: a model to train, a teacher to take or fine-tune, or the mean of several teachers.

    Attributes:
        id: unique within the run; names its folder.
        position: 0 for the teacher, 1 for the rung below it, and so on.
        arm: of the cell's own training; None for the teacher and for rungs that every arm shares.
        seed: index of the seed, 0 to seeds − 1; 0 for the teacher, which all seeds share.
        teachers: ids of the cells whose soft labels it learns from, or whose mean it is; none for hard labels only and
            for a model at the top.
    """

    id: str
    position: int
    arm: Arm | None
    seed: int
    teachers: tuple[str, ...]

    @property
    def kind(self) -> Literal["teacher", "rung"]:
        """What the cell is in results.json."""
        return "teacher" if self.position == 0 else "rung"

    @property
    def is_mean(self) -> bool:
        """Whether it is no model, but the mean of several teachers."""
        return self.position == 0 and bool(self.teachers)

    @property
    def is_member(self) -> bool:
        """Whether it is one of several teachers, whose mean is the teacher."""
        return self.position == 0 and self.id != TEACHER


@dataclass(frozen=True)
class Plan:
    """Cells in an order in which each comes after its teachers, and the arms that train the same model.

    Attributes:
        cells: the teacher first (of several, each, and then their mean), then seed by seed.
        coincide: arm → the arm that stands for it, where both would train the same model in the same way.
        idle: positions of rungs that no arm asks for and that are not trained.
    """

    cells: tuple[Cell, ...]
    coincide: dict[Arm, Arm]
    idle: tuple[int, ...]

    @property
    def last(self) -> int:
        """Position of the student."""
        return max([cell.position for cell in self.cells])

    def cell(self, name: str) -> Cell:
        """The cell with an id of the plan."""
        return next(cell for cell in self.cells if cell.id == name)

    @property
    def top(self) -> tuple[str, ...]:
        """Ids of the models at the top, in the recipe's order: the teacher, or those that it is the mean of."""
        return self.cell(TEACHER).teachers or (TEACHER,)

    def taught_by(self, cell: Cell) -> dict[str, float]:
        """The models whose soft labels a rung learns from, and what each weighs; weights sum to 1.

        Several teachers at the top weigh together what one rung above does.
        """
        weights: dict[str, float] = {}
        for name in cell.teachers:
            models = self.top if name == TEACHER else (name,)
            weights |= {model: 1 / len(cell.teachers) / len(models) for model in models}
        return weights


def plan(rungs: int, arms: Sequence[Arm], seeds: int, teachers: int = 1) -> Plan:
    """All cells of a run.

    Each seed trains its own ladder under one shared teacher. Rung 1 learns from the teacher once per seed, whatever
    the arm. Below it, `chain` learns from the rung above, `dense` from the teacher and all rungs above; `direct`
    (hard labels) and `one-hop` (from the teacher) exist for the last rung only. With one rung, `one-hop`, `chain`
    and `dense` are the same training and run once.

    Args:
        rungs: models below the teacher, at least 1.
        arms: at least one, no repeats.
        seeds: at least 1.
        teachers: models at the top, at least 1; of several, the teacher is their mean.
    """
    coincide = _coinciding(rungs, arms)
    arms = [arm for arm in arms if arm not in coincide]
    ladders: list[Arm] = [arm for arm in arms if arm in ("chain", "dense")] if rungs > 1 else []
    top = tuple(f"{TEACHER}-{number}" for number in range(1, teachers + 1)) if teachers > 1 else ()
    cells = [*(Cell(name, 0, None, 0, ()) for name in top), Cell(TEACHER, 0, None, 0, top)]
    for seed in range(seeds):
        if ladders:
            cells.append(Cell(f"rung1-seed{seed}", 1, None, seed, (TEACHER,)))
        for position in range(2, rungs):
            for arm in ladders:
                cells.append(_cell(position, arm, seed, rungs))
        for arm in arms:
            cells.append(_cell(rungs, arm, seed, rungs))
    trained = {cell.position for cell in cells}
    return Plan(tuple(cells), coincide, tuple(p for p in range(1, rungs) if p not in trained))


def _coinciding(rungs: int, arms: Sequence[Arm]) -> dict[Arm, Arm]:
    if rungs > 1:
        return {}
    soft = [arm for arm in arms if arm != "direct"]
    return dict.fromkeys(soft[1:], soft[0]) if soft else {}


def _cell(position: int, arm: Arm, seed: int, rungs: int) -> Cell:
    above = [_id(p, arm, seed) for p in range(1, position)]
    if arm == "direct":
        teachers: tuple[str, ...] = ()
    elif arm == "one-hop" or position == 1:
        teachers = (TEACHER,)
    elif arm == "chain":
        teachers = (above[-1],)
    else:
        teachers = (TEACHER, *above)
    name = (
        f"rung{position}-{arm}-seed{seed}" if position == rungs or position > 1 else _id(position, arm, seed)
    )
    return Cell(name, position, arm, seed, teachers)


def _id(position: int, arm: Arm, seed: int) -> str:
    return f"rung1-seed{seed}" if position == 1 else f"rung{position}-{arm}-seed{seed}"
