"""Commands as a user calls them: what is on stdout, what is on stderr, and the exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepdown import recipe, runs
from tests.conftest import corpus


def stepdown(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stepdown", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ, timeout=300)


@pytest.fixture
def finished(toy_recipe: Callable[..., Path], tmp_path: Path) -> Path:
    path = toy_recipe(arms='["one-hop"]')
    runs.work_through(runs.open_run(recipe.load(path), tmp_path / "run"))
    return tmp_path / "run"


def test_a_finished_run_is_reported_measured_packed_and_asked(finished: Path, tmp_path: Path) -> None:
    shown = stepdown("report", finished, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "one-hop" in shown.stdout
    document = stepdown("report", finished, "--json", cwd=tmp_path)
    assert json.loads(document.stdout)["schema"] == 1

    texts, labels = corpus(120, seed=5)
    rows = [json.dumps({"review": text, "verdict": label}) for text, label in zip(texts, labels, strict=True)]
    (tmp_path / "new.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    teacher = finished / "cells/teacher"
    words = ("--against", teacher, "--text", "review", "--label", "verdict", "--json")
    measured = stepdown("evaluate", finished / "bundle", "new.jsonl", *words, cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    found = json.loads(measured.stdout)
    assert found["metrics"]["accuracy"]["value"] > 0.8
    assert found["metrics"]["accuracy"]["n"] == 120
    assert found["comparison"]["a"] == str(teacher)

    packed = stepdown("export", finished, "--out", "mine.stepdown", cwd=tmp_path)
    assert packed.returncode == 0, packed.stderr
    asked = stepdown("predict", "mine.stepdown", "word1 good word2", cwd=tmp_path)
    assert json.loads(asked.stdout)["label"] == "positive"


def test_init_writes_a_recipe_once(toy_csv: Path, tmp_path: Path) -> None:
    made = stepdown("init", toy_csv.name, "--out", "mine.toml", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert recipe.load(tmp_path / "mine.toml").data.source == str(toy_csv)
    again = stepdown("init", toy_csv.name, "--out", "mine.toml", cwd=tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr


@pytest.mark.skipif(os.name != "posix", reason="a pipe that nobody reads")
def test_who_does_not_read_to_the_end_is_no_failure(toy_csv: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "stepdown", "init", str(toy_csv), "--out", "-"]
    made = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=os.environ, timeout=300)
    os.close(write)
    assert (made.returncode, made.stderr) == (0, b"")


def test_check_tells_data_teacher_and_plan(toy_recipe: Callable[..., Path], tmp_path: Path) -> None:
    told = stepdown("check", toy_recipe(arms='["one-hop"]'), cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "will be fine-tuned first" in told.stdout
    assert "Transfer set: 479 texts" in told.stdout
    assert "Tokens of 479 train texts as it reads them: 9 in the median" in told.stdout
    lacks = "toy-teacher lacks 2 weights, which start at random: classifier.bias, classifier.weight"
    assert told.stdout.count(lacks) == 1, "a line for each model, however many cells start from it"
    assert "rung2-one-hop-seed0" in told.stdout
    assert "Rung 2 (bidirectional GRU, 93 words): of at most 15,000 parameters, " in told.stdout
    assert "the vocabulary holds 100.0% of the running words of the train texts whole." in told.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "nothing.toml"), "nothing.toml"),
        (("report", "nowhere"), "not finished"),
        (("export", "nowhere"), "not finished"),
        (("predict", "nowhere", "text"), "nowhere"),
        (("evaluate", "./nowhere", "data.csv"), "nowhere"),
        (("init", "missing.csv"), "missing.csv"),
        (("no-such-command",), "no-such-command"),
    ],
)
def test_mistakes_are_told_in_words_with_exit_code_2(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    found = stepdown(*words, cwd=tmp_path)
    assert found.returncode == 2, found.stderr
    assert says in found.stderr
    assert "Traceback" not in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_hub_that_cannot_be_reached_is_one_line_and_soon(
    toy_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for key in ("data.source=someone/some-data", "teacher.model=someone/some-model"):
        found = stepdown("check", toy_recipe(), "--set", key, cwd=tmp_path)
        assert found.returncode == 1, found.stderr
        assert found.stderr.startswith("stepdown: someone/some-")
        assert found.stderr.count("\n") == 1, "no chatter of the client"


def test_a_disk_that_fails_leaves_no_half_cell(toy_recipe: Callable[..., Path], tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that fills up while a model is written."""
    resource = pytest.importorskip("resource", reason="limits on files are a matter of Unix")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "stepdown", "run", str(toy_recipe()), "--out", "run"]
    found = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=os.environ, preexec_fn=limit
    )
    assert found.returncode == 1, found.stderr
    assert "could not be written: it is larger than the system allows" in found.stderr
    assert "Traceback" not in found.stderr
    assert list((tmp_path / "run" / "cells").iterdir()) == []
    # With room again it takes up where it stopped.
    assert stepdown("run", toy_recipe(), "--out", "run", cwd=tmp_path).returncode == 0


def test_a_folder_that_cannot_be_written_is_told(toy_recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the run's folder should be")
    found = stepdown("run", toy_recipe(), "--out", "taken/run", cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    assert "a file is where a folder should be" in found.stderr
