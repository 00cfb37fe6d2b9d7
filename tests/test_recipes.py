"""The shipped recipes are run, and so is what the README shows; only sizes are cut, so that it takes seconds."""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from stepdown import Classifier, assets, recipe, runs
from stepdown.assets import npm
from stepdown.errors import HubError
from stepdown.web import ort
from tests.conftest import corpus, make_bert_hash, make_teacher, write_reviews

pytest.importorskip("torch", reason="needs the extra train")

README = Path(__file__).parents[1] / "README.md"
SST2 = Path(__file__).parents[2] / "shared" / "data" / "sst2"
# Enough for a teacher that knows the task, too little for anything to be said of it.
CUTS = ["compare.seeds=1", "data.max_rows=600", "rungs.0.epochs=1"]
OWN_CUTS = [*CUTS, "data.max_rows=400", "teacher.epochs=2", "rungs.0.epochs=2"]


@pytest.fixture
def _builtins(own_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache that whoever runs the tests has, so that nothing is downloaded each time."""
    if "STEPDOWN_CACHE" in own_environment:
        monkeypatch.setenv("STEPDOWN_CACHE", own_environment["STEPDOWN_CACHE"])
    else:
        monkeypatch.delenv("STEPDOWN_CACHE")
    try:
        assets.data("demo:movie-snippets")
        assets.model("demo:minilm-l6")
    except HubError as error:
        pytest.skip(f"the built-ins cannot be fetched here: {error}")


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> list[list[str]]:
    """The `stepdown` commands of the README, word by word."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("stepdown ")]


def call(words: list[str], folder: Path) -> str:
    """What a command prints, run as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "stepdown", *words], cwd=folder, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def _has_npm() -> bool:
    """Whether onnxruntime-web can be had here."""
    try:
        npm.fetch(ort.RELEASE)
    except HubError:
        return False
    return True


@pytest.mark.usefixtures("_builtins")
def test_what_the_readme_shows_works(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", 900)
    said = {}
    for words in commands():
        name = words[1]
        if name == "serve":  # until it is told to end; tests/test_serve_process.py does that
            continue
        if "web" in words and not _has_npm():
            continue
        cuts = {"demo": CUTS, "run": OWN_CUTS, "check": OWN_CUTS}.get(name, [])
        said[name] = call([*words[1:], *(part for cut in cuts for part in ("--set", cut))], tmp_path)
    assert set(said) >= {"demo", "predict", "init", "check", "run"}
    assert "stepdown predict runs/demo/bundle" in said["demo"]
    assert '"label": "' in said["predict"]
    assert "one-hop" in said["run"]
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("_builtins")
@pytest.mark.skipif(not SST2.is_dir(), reason="needs ../shared/data/sst2 beside the project")
def test_sst2_small_runs_on_local_files(tmp_path: Path) -> None:
    sets = ("data.max_rows=3000", "compare.seeds=1", "teacher.epochs=2", f"data.source={SST2}")
    results = runs.work_through(runs.open_run(recipe.load("sst2-small", sets), tmp_path / "run"))
    assert (results["data"]["report"], results["data"]["label_names"]) == (872, ["0", "1"])
    assert Classifier.load(tmp_path / "run" / "bundle").predict(["a lovely film ."])[0] in ("0", "1")


@pytest.mark.parametrize(("name", "rungs"), [("sst2-250k", 1), ("sentiment", 2)])
def test_the_recipes_of_the_model_in_the_box_run(name: str, rungs: int, tmp_path: Path) -> None:
    """MPNet and the reviews are too large; here, a tiny teacher and some sentences stand for them."""
    texts, labels = corpus(500)
    data = tmp_path / "sst2.csv"
    rows = [f"{text},{label}" for text, label in zip(texts, labels, strict=True)]
    data.write_text("\n".join(["sentence,label", *rows]) + "\n", encoding="utf-8")
    reviews = tmp_path / "reviews.jsonl"
    unread, _ = corpus(300, seed=1)
    reviews.write_text(
        "".join(json.dumps({"text": f"{one}. {other}."}) + "\n" for one, other in pairwise(unread)),
        encoding="utf-8",
    )
    sizes = [
        part for at in range(rungs) for part in (f"rungs.{at}.max_params=20_000", f"rungs.{at}.epochs=1")
    ]
    made = recipe.load(
        name,
        [
            f"data.source={data}",
            f"transfer.unlabeled={reviews}",
            f"teacher.model={make_teacher(tmp_path / 'small')}",
            "teacher.epochs=4",
            "teacher.learning_rate=2e-3",
            "teacher.batch_size=16",
            "compare.seeds=1",
            *sizes,
        ],
    )
    results = runs.work_through(runs.open_run(made, tmp_path / "run"))
    student = results["cells"][-1]
    assert (student["position"], student["params"] <= 20_000) == (rungs, True)
    assert results["data"]["transfer"] > results["data"]["train"]
    if name == "sentiment":
        assert student["spent"]["hidden"] == 32
    classifier = Classifier.load(tmp_path / "run" / "bundle")
    assert len(classifier.predict(unread[:3])) == 3
    assert [source.role for source in classifier.about.sources] == ["teacher", "data", "transfer text"]


def test_sst2_article_runs_with_models_of_its_shape(tmp_path: Path) -> None:
    """The models are on a hub; here, tiny ones of the same architectures stand for them."""
    from transformers import BertConfig, BertForSequenceClassification

    data = tmp_path / "sst2"
    data.mkdir()
    for name, count, seed in (("train", 700, 0), ("validation", 200, 1)):
        rows = [
            f"{text},{int(label == 'positive')}"
            for text, label in zip(*corpus(count, seed=seed), strict=True)
        ]
        (data / f"{name}.csv").write_text("\n".join(["sentence,label", *rows]) + "\n", encoding="utf-8")
    made = recipe.load(
        "sst2-article",
        [
            f"data.source={data}",
            f"teacher.model={make_teacher(tmp_path / 'trained-below')}",
            "teacher.epochs=4",
            "teacher.learning_rate=2e-3",
            f"rungs.0.model={make_teacher(tmp_path / 'middle')}",
            "rungs.0.learning_rate=2e-3",
            f"rungs.1.model={make_teacher(tmp_path / 'small')}",
            f"rungs.2.model={make_bert_hash(tmp_path / 'femto')[0]}",
            "compare.seeds=1",
        ],
    )
    results = runs.work_through(runs.open_run(made, tmp_path / "run"))
    assert results["cells"][-1]["model"] == "bert_hash, 2 layers, 24 wide"
    assert [cell["position"] for cell in results["cells"]] == [0, 1, 2, 2, 3, 3, 3, 3]
    assert results["cells"][0]["metrics"]["accuracy"]["value"] > 0.9
    # What it keeps is what transformers loads.
    kept = BertForSequenceClassification.from_pretrained(tmp_path / "run" / "cells" / "rung1-seed0")
    assert isinstance(kept.config, BertConfig)
    assert kept.config.num_labels == 2
    assert len(Classifier.load(tmp_path / "run" / "bundle").predict(["a good word1 word2"])) == 1
