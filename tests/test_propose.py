"""What `init` finds out, and that the recipe it leads to is complete and right."""

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepdown import data, recipe
from stepdown.cli import cli
from stepdown.errors import DataError, InputError
from stepdown.propose import fitting_seeds, propose
from stepdown.recipe.settings import rung_length_for, views_for


def write(path: Path, rows: int = 200, header: str = "review,verdict", labels: str = "ab") -> Path:
    lines = [f"this text is number {row} of them all,{labels[row % len(labels)]}" for row in range(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_file_makes_a_recipe_that_loads(tmp_path: Path) -> None:
    path = write(tmp_path / "my reviews.csv")
    found = propose(str(path), tmp_path)
    assert found.data == {"source": "my reviews.csv", "text": ["review"], "label": "verdict"}
    assert (found.task, found.rows, found.label_names) == ("single-label, 2 labels", 200, ("a", "b"))
    assert found.seeds == 3
    written = recipe.template(**found.arguments())
    loaded = recipe.parse(tomllib.loads(written), source="recipe.toml", base=tmp_path)
    assert loaded.data.source == str(path)
    assert (loaded.data.text, loaded.data.label) == (("review",), ("verdict",))
    assert loaded.compare.seeds == 3


def test_splits_are_found_and_told(tmp_path: Path) -> None:
    for name, rows in (("train", 200), ("valid", 20), ("test", 30)):
        write(tmp_path / "corpus" / f"{name}.csv", rows)
    found = propose(str(tmp_path / "corpus"), tmp_path)
    assert (found.name, found.data["source"]) == ("corpus", "./corpus")
    assert found.splits == {"train": 200, "validation": 20, "test": 30}
    assert any("choices are made on validation" in note for note in found.notes)
    one = propose(str(tmp_path / "corpus" / "train.csv"), tmp_path / "elsewhere")
    assert (one.name, one.data["source"]) == ("corpus", str(tmp_path / "corpus" / "train.csv"))
    assert any("'test.csv', 'valid.csv'" in note for note in one.notes)


def test_what_a_user_should_know_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", rows=90, labels="0001112")
    notes = "\n".join(propose(str(path)).notes)
    for part in (
        "Labels: '0', '1', '2'",
        "label_names can give them names",
        "Fewer than 50 rows",
        "were guessed",
    ):
        assert part in notes


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", header="label,odd")
    assert propose(str(path), text=["label"], label=["odd"]).data["label"] == "odd"


def table(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def numbered(row: str, count: int = 100) -> list[str]:
    return [row.format(at=at, half=at % 2, third=at % 3 // 2, tenth=at / 10) for at in range(count)]


@pytest.mark.parametrize(
    ("header", "rows", "keys", "task", "note"),
    [
        (
            "premise,hypothesis,label",
            numbered("a first text {at},another one {at},{half}"),
            {"text": ["premise", "hypothesis"], "label": "label"},
            "single-label, 2 labels, of pairs of texts",
            "Labels: '0', '1'",
        ),
        (
            "text,score",
            numbered("some text {at},{tenth}"),
            {"text": ["text"], "label": "score", "task": "regression"},
            "regression",
            "Numbers to be predicted: 0 to 9.9, 4.95 in the mean.",
        ),
        (
            "text,rude,loud,late",
            numbered("some text {at},{half},{third},{half}"),
            {"text": ["text"], "label": ["rude", "loud", "late"]},
            "multi-label, 3 labels",
            "none applies to",
        ),
        (
            "text,tags",
            [f"some text {at},{['a;b', 'b', 'c;a', 'a', 'c'][at % 5]}" for at in range(100)],
            {"text": ["text"], "label": "tags", "label_separator": ";"},
            "multi-label, 3 labels",
            "Cells hold several labels, parted by ';'.",
        ),
    ],
)
def test_every_kind_of_task_makes_a_recipe_that_loads_its_data(
    header: str, rows: list[str], keys: dict[str, object], task: str, note: str, tmp_path: Path
) -> None:
    path = table(tmp_path / "a.csv", header, rows)
    found = propose(str(path), tmp_path)
    assert found.data == {"source": "a.csv"} | keys
    assert found.task == task
    assert any(note in one for one in found.notes)
    written = recipe.template(**found.arguments())
    loaded = data.load(recipe.parse(tomllib.loads(written), base=tmp_path).data, 0)
    assert loaded.task.kind == task.split(",")[0]
    assert loaded.task.label_names == found.label_names


def test_few_texts_get_views_and_many_have_none(tmp_path: Path) -> None:
    found = propose(str(write(tmp_path / "a.csv")), tmp_path)
    assert (
        recipe.parse(tomllib.loads(recipe.template(**found.arguments())), base=tmp_path).transfer.views == 30
    )
    asked = [(0, 0), (1, 5), (4_300, 9), (4_300, 18), (7_000, 20), (15_000, 20), (24_000, 20), (10**6, 20)]
    assert [views_for(texts, words) for texts, words in asked] == [30, 30, 27, 13, 7, 3, 1, 0]
    pairs = table(
        tmp_path / "pairs.csv", "premise,hypothesis,label", numbered("one {at},another {at},{half}")
    )
    assert propose(str(pairs), tmp_path).views == 30
    none = recipe.template(**found.arguments() | {"views": 0})
    assert recipe.parse(tomllib.loads(none), base=tmp_path).transfer is None


@pytest.mark.parametrize(
    ("texts", "words", "seeds", "says"),
    [
        (15_000, 20, 3, "A run takes about 25 minutes on 2 cores"),
        (24_000, 20, 2, "2 seeds, as 3 would take about 28 minutes; a run takes about 23 minutes"),
        (1_000_000, 20, 1, "about 13 hours; a run takes about 10 hours"),
        (3_300, 39, 1, "1 seed, as 3 would take about 44 minutes; a run takes about 25 minutes"),
        (500, 10, 3, "about 5 minutes"),
        (100, 10, 3, "about a minute"),
    ],
)
def test_seeds_fit_into_the_time(texts: int, words: float, seeds: int, says: str) -> None:
    found, minutes, reason = fitting_seeds(texts, words, views_for(texts, words))
    assert found == seeds
    assert says in reason
    assert (minutes <= 25) == (texts < 1_000_000)


def test_data_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a single class, 'a'"):
        propose(str(write(tmp_path / "a.csv", labels="a", header="text,label")))
    with pytest.raises(DataError, match="no such file"):
        propose(str(tmp_path / "b.csv"))


TEXTS = [f"some text of the kind {at}" for at in range(200)]


@pytest.mark.parametrize(
    ("name", "lines", "text", "task"),
    [
        ("texts.txt", TEXTS, ["text"], "texts without labels"),
        ("texts.csv", ["words", *TEXTS], ["words"], "texts without labels"),
        (
            "texts.jsonl",
            [f'{{"id": {at}, "body": "{text}", "label": null}}' for at, text in enumerate(TEXTS)],
            ["body"],
            "texts without labels",
        ),
        (
            "pairs.csv",
            ["id,question1,question2", *(f"{at},{text},and {text}" for at, text in enumerate(TEXTS))],
            ["question1", "question2"],
            "pairs of texts without labels",
        ),
    ],
)
def test_texts_without_labels_wait_for_a_teacher(
    name: str, lines: list[str], text: list[str], task: str, tmp_path: Path
) -> None:
    path = table(tmp_path / name, lines[0], lines[1:])
    found = propose(str(path), tmp_path)
    assert (found.task, found.rows, found.teacher) == (task, 200, None)
    assert found.data == {"source": name, "text": text, "label": []}
    assert found.views == 30
    written = recipe.template(**found.arguments())
    assert "FILL IN" in written
    assert 'arms = ["one-hop", "chain", "dense"]' in written
    with pytest.raises(InputError, match=r"teacher\.model: missing; expected a hub id"):
        recipe.parse(tomllib.loads(written), base=tmp_path)
    filled = recipe.parse(tomllib.loads(written.replace("# model = ", "model = ", 1)), base=tmp_path)
    assert (filled.data.label, filled.teacher.model) == ((), (str(tmp_path / "my-classifier"),))


def test_a_teacher_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    path = table(tmp_path / "texts.txt", TEXTS[0], TEXTS[1:])
    found = propose(str(path), tmp_path, teacher=str(tmp_path / "mine"))
    assert found.teacher == "./mine"
    assert any("must be fine-tuned already" in note for note in found.notes)
    written = recipe.template(**found.arguments())
    assert "FILL IN" not in written
    assert recipe.parse(tomllib.loads(written), base=tmp_path).teacher.model == (str(tmp_path / "mine"),)
    labelled = propose(str(write(tmp_path / "a.csv")), tmp_path, teacher="owner/model")
    assert labelled.teacher == "owner/model"
    assert any("a larger teacher takes longer" in note for note in labelled.notes)


def test_columns_that_are_no_labels_are_told(tmp_path: Path) -> None:
    rows = [f"{at},{text},url{at}" for at, text in enumerate(TEXTS)]
    path = table(tmp_path / "a.csv", "number,text,link", rows)
    notes = "\n".join(propose(str(path)).notes)
    assert "The text is in 'text'; 'number', 'link' are not read" in notes
    assert "--label COLUMN" in notes
    # What reads like labels is taken for them unless it is said that there are none.
    path = write(tmp_path / "b.csv")
    assert propose(str(path)).label_names == ("a", "b")
    assert propose(str(path), label=None).data["label"] == []
    path = table(
        tmp_path / "c.csv", "review,one,two", [f"text of {at},{at % 2},{at % 3}" for at in range(100)]
    )
    with pytest.raises(DataError, match="cannot tell which column holds the label"):
        propose(str(path))


def test_the_command_says_what_is_to_be_filled_in(tmp_path: Path) -> None:
    path = table(tmp_path / "texts.txt", TEXTS[0], TEXTS[1:])
    told = CliRunner().invoke(cli, ["init", str(path), "--out", str(tmp_path / "recipe.toml")])
    assert told.exit_code == 0, told.output
    assert "texts without labels, 200 rows" in told.output
    assert "fill in [teacher].model" in told.output
    told = CliRunner().invoke(cli, ["init", str(path), "--no-label", "--label", "a", "--out", "-"])
    assert isinstance(told.exception, InputError)


def test_students_read_more_of_long_texts_than_the_teacher(tmp_path: Path) -> None:
    rows = [f"{'word ' * (30 if row % 4 else 300)}number {row},{'ab'[row % 2]}" for row in range(200)]
    (tmp_path / "long.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    found = propose(str(tmp_path / "long.csv"), tmp_path)
    loaded = recipe.parse(tomllib.loads(recipe.template(**found.arguments())), base=tmp_path)
    assert loaded.data.max_length == 128
    assert [loaded.resolved_rung(index).max_length for index in (0, 1)] == [512, 512]
    assert any("cuts 25% of them" in note and "students read up to 512" in note for note in found.notes)
    assert propose(str(write(tmp_path / "short.csv"))).rung_length is None
    assert [rung_length_for(words) for words in (0, 100, 101, 128, 129, 5_000)] == [
        None, None, 128, 128, 256, 1024,
    ]  # fmt: skip
    few, many = (fitting_seeds(8_000, 100, 0, students)[1] for students in (100, 300))
    assert few < many < 3 * few


def test_fine_tuning_for_several_labels_takes_longer() -> None:
    one, several = (fitting_seeds(15_000, 13, kind=kind)[1] for kind in ("single-label", "multi-label"))
    assert several > 1.2 * one
