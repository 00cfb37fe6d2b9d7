import pytest

from stepdown.ladder.plan import TEACHER, plan

ALL = ("direct", "one-hop", "chain", "dense")


def test_the_three_rung_ladder_of_the_contract() -> None:
    cells = {cell.id: cell for cell in plan(3, ALL, 2).cells}
    assert len(cells) == 1 + 2 * (1 + 2 + 4)
    assert cells["rung1-seed1"].teachers == (TEACHER,)
    assert cells["rung1-seed1"].arm is None
    assert cells["rung2-chain-seed1"].teachers == ("rung1-seed1",)
    assert cells["rung2-dense-seed1"].teachers == (TEACHER, "rung1-seed1")
    assert cells["rung3-direct-seed1"].teachers == ()
    assert cells["rung3-one-hop-seed1"].teachers == (TEACHER,)
    assert cells["rung3-chain-seed1"].teachers == ("rung2-chain-seed1",)
    assert cells["rung3-dense-seed1"].teachers == (TEACHER, "rung1-seed1", "rung2-dense-seed1")


def test_every_cell_comes_after_its_teachers() -> None:
    seen: set[str] = set()
    for cell in plan(4, ALL, 3).cells:
        assert set(cell.teachers) <= seen
        seen.add(cell.id)


def test_with_one_rung_the_soft_arms_coincide_and_run_once() -> None:
    found = plan(1, ALL, 3)
    assert {cell.arm for cell in found.cells if cell.kind == "rung"} == {"direct", "one-hop"}
    assert found.coincide == {"chain": "one-hop", "dense": "one-hop"}
    assert len(found.cells) == 1 + 3 * 2


def test_rungs_that_no_arm_asks_for_are_not_trained() -> None:
    found = plan(3, ("direct", "one-hop"), 1)
    assert found.idle == (1, 2)
    assert [cell.id for cell in found.cells] == [TEACHER, "rung3-direct-seed0", "rung3-one-hop-seed0"]
    assert plan(3, ALL, 1).idle == ()


def test_two_rungs_give_chain_and_dense_their_own_cells() -> None:
    cells = {cell.id: cell for cell in plan(2, ALL, 1).cells}
    assert cells["rung2-chain-seed0"].teachers == ("rung1-seed0",)
    assert cells["rung2-dense-seed0"].teachers == (TEACHER, "rung1-seed0")


def test_one_rung_from_the_labels_alone() -> None:
    laid = plan(1, ["direct"], 2)
    assert [cell.id for cell in laid.cells] == ["teacher", "rung1-direct-seed0", "rung1-direct-seed1"]
    assert laid.coincide == {}


def test_several_teachers_are_cells_of_their_own_and_the_teacher_is_their_mean() -> None:
    laid = plan(2, ALL, 1, teachers=2)
    assert [cell.id for cell in laid.cells[:3]] == ["teacher-1", "teacher-2", TEACHER]
    assert laid.top == ("teacher-1", "teacher-2")
    assert [(cell.is_member, cell.is_mean) for cell in laid.cells[:4]] == [
        (True, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert laid.cells[3:] == plan(2, ALL, 1).cells[1:], "whoever the teacher is, the rungs are the same"
    assert plan(2, ALL, 1).top == (TEACHER,)


def test_teachers_at_the_top_weigh_together_what_a_rung_does() -> None:
    laid = plan(3, ALL, 1, teachers=2)
    weights = {cell.id: laid.taught_by(cell) for cell in laid.cells}
    assert weights["rung3-one-hop-seed0"] == {"teacher-1": 0.5, "teacher-2": 0.5}
    assert weights["rung3-dense-seed0"] == pytest.approx(
        {"teacher-1": 1 / 6, "teacher-2": 1 / 6, "rung1-seed0": 1 / 3, "rung2-dense-seed0": 1 / 3}
    )
    assert weights["rung3-chain-seed0"] == {"rung2-chain-seed0": 1.0}
    assert weights["rung3-direct-seed0"] == {}
    alone = plan(3, ALL, 1)
    assert alone.taught_by(alone.cell("rung2-dense-seed0")) == {TEACHER: 0.5, "rung1-seed0": 0.5}
