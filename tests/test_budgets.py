"""Budgets in bytes: what they hold for is measured on the disk, as a run keeps a student and as a bundle packs it."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepdown.errors import ModelError
from stepdown.export import graphs
from stepdown.recipe.settings import CORES
from stepdown.students import budgets, building, saved
from stepdown.students.budgets import Wanted
from stepdown.tokens.words import Words

KINDS = [*(("compact", core) for core in CORES), ("bag", None)]


def vocabulary(size: int, letters: str = "etaoinsr") -> Counter[str]:
    draw = random.Random(0)
    words = {"".join(draw.choices(letters, k=draw.randint(2, 11))) for _ in range(size)}
    return Counter({word: 100_000 // rank + 1 for rank, word in enumerate(sorted(words), 1)})


def measured(wanted: Wanted, names: list[str], counts: Counter[str], folder: Path) -> tuple[int, int]:
    """Bytes of the student as a run keeps it, and of its network and tokenizer in a bundle."""
    words, shape = budgets.sized(wanted, names, counts, counts)
    assert words.vocab_size == shape.vocabulary
    model = building.untaught(words, shape, names, 128)
    kept = folder / "kept"
    kept.mkdir()
    saved.save(model, kept)
    graphs.write(model, folder / "model.onnx")
    return saved.size(kept), (folder / "model.onnx").stat().st_size + (kept / "words.json").stat().st_size


@pytest.mark.parametrize(("family", "core"), KINDS)
@pytest.mark.parametrize("max_bytes", [50_000, 200_000, 3_000_000])
@pytest.mark.parametrize("classes", [2, 77])
def test_a_budget_in_bytes_holds_on_the_disk(
    family: str, core: str, max_bytes: int, classes: int, tmp_path: Path
) -> None:
    names = [f"label {index}" for index in range(classes)]
    counts = vocabulary(12_000)
    kept, packed = measured(Wanted(family, core, None, max_bytes), names, counts, tmp_path)  # type: ignore[arg-type]
    assert 0.9 * max_bytes <= max(kept, packed) <= max_bytes


@pytest.mark.parametrize("letters", ["漢字仮名交文", 'abc"\\/', "абвгд"])
def test_words_count_by_their_bytes_not_their_letters(letters: str, tmp_path: Path) -> None:
    counts = vocabulary(5_000, letters)
    kept, packed = measured(Wanted("compact", "gru", None, 100_000), ["no", "yes"], counts, tmp_path)
    assert 90_000 <= max(kept, packed) <= 100_000


def test_the_names_of_labels_count_too(tmp_path: Path) -> None:
    names = [
        f"a rather long name of a label, in the language of the data: ярлык {index}" for index in range(150)
    ]
    kept, packed = measured(Wanted("bag", None, None, 60_000), names, vocabulary(5_000), tmp_path)
    assert max(kept, packed) <= 60_000


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(50_000, 2_000_000), st.integers(10, 4_000), st.integers(2, 150), st.sampled_from(KINDS))
def test_a_bound_on_bytes_is_never_exceeded(
    max_bytes: int, size: int, classes: int, kind: tuple[str, str]
) -> None:
    names = [f"label {index}" for index in range(classes)]
    counts = vocabulary(size)
    words, shape = budgets.sized(Wanted(*kind, None, max_bytes), names, counts, counts)  # type: ignore[arg-type]
    assert budgets.bytes_of(words, shape, names) <= max_bytes


def test_bytes_that_hold_no_student_are_refused_in_bytes() -> None:
    names = [f"label {index}" for index in range(2_000)]
    with pytest.raises(ModelError, match=r"at most 50,000 bytes cannot be built for 2000 classes.*max_bytes"):
        budgets.sized(Wanted("compact", "gru", None, 50_000), names, Counter("abc"), Counter("abc"))


def test_coverage_counts_running_words_that_are_entries_as_a_whole() -> None:
    assert building.coverage(Words(("good", "film", "ly")), Counter(good=3, film=2, goodly=1)) == 5 / 6
    assert building.coverage(Words(("good",)), Counter()) == 1.0


def test_what_was_spent_adds_up() -> None:
    counts = vocabulary(5_000)
    for family, core in KINDS:
        wanted = Wanted(family, core, 60_000)  # type: ignore[arg-type]
        _, shape = budgets.sized(wanted, ["no", "yes"], counts, counts)
        told = building.spent(wanted, shape, 0.9)
        assert told["table_parameters"] == sum(table["rows"] * table["columns"] for table in told["tables"])
        assert told["table_parameters"] + told["network_parameters"] == shape.parameters <= told["max_params"]
        assert (told["core"], told["max_bytes"], told["coverage"]) == (core, None, 0.9)
