"""The model in the box: there after installation, found by its name, and at ease with ordinary text."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
from click.testing import CliRunner

from stepdown import Classifier
from stepdown.cli import cli
from stepdown.errors import BundleError, ModelError
from stepdown.runtime import bundle
from stepdown.runtime.shipped import find, shipped
from tests.conftest import make_teacher

ROOT = Path(__file__).parent.parent


def predict(*words: str, cwd: Path, package: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PYTHONPATH": str(package)} if package else {})}
    command = [sys.executable, "-m", "stepdown", "predict", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120)


@pytest.fixture(scope="module")
def sentiment() -> Classifier:
    return Classifier.load("sentiment")


# --- what it is -----------------------------------------------------------------------------------------------------


def test_the_model_is_small_named_and_says_where_it_comes_from(sentiment: Classifier) -> None:
    assert list(shipped()) == ["sentiment"]
    assert shipped()["sentiment"].stat().st_size <= 1_000_000
    assert sentiment.label_names == ("negative", "positive")
    assert sentiment.about.weights.type == "int8"
    assert sentiment.about.parameters is not None
    assert sentiment.about.parameters <= 250_000
    assert sentiment.about.sources
    for source in sentiment.about.sources:
        assert f"{source.role}: " in sentiment.card
        assert f"(licence: {source.licence})" in sentiment.card
    assert not re.search(r"(?<![\w.])/(?:work|home|tmp|root|Users)/", sentiment.card), "no machine's paths"


def test_it_may_be_put_on_a_hub_as_it_is() -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra train")
    result = CliRunner().invoke(cli, ["push", "sentiment", "me/mine", "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["licence"] == "unknown", "its sources state none"


def test_it_answers_what_anyone_would(sentiment: Classifier) -> None:
    texts = ["It's GREAT!!", "A waste of time.", "I loved every minute of it", "Dull, slow and far too long."]
    assert sentiment.predict(texts) == ["positive", "negative", "positive", "negative"]


def test_a_long_review_is_read_to_its_end(sentiment: Classifier) -> None:
    filler = "He goes to the station and takes a train. "
    bad = filler * 40 + "This film is terrible, boring and stupid. I hated it, and so did everyone. " * 3
    good = filler * 40 + "This film is wonderful, moving and funny. I loved it, and so did everyone. " * 3
    assert sentiment.predict([bad, good]) == ["negative", "positive"]
    assert not sentiment.read([bad, good])[1].any()
    assert sentiment.read([bad * 10])[1].all()


# --- where it is found ----------------------------------------------------------------------------------------------


def test_a_wheel_holds_it_and_needs_nothing_else(tmp_path: Path) -> None:
    wheels = pytest.importorskip("hatchling.builders.wheel")
    (made,) = wheels.WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "installed")
    for part in ("web/engine/worker.js", "web/tab.js", "web/readme.md", "serve/server.js", "page/page.html"):
        assert (tmp_path / "installed" / "stepdown" / part).is_file(), part
    found = predict("sentiment", "It's GREAT!!", cwd=tmp_path, package=tmp_path / "installed")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["label"] == "positive"


def test_a_bundle_of_its_name_comes_first_and_a_folder_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentiment").mkdir()
    assert find("sentiment") == shipped()["sentiment"]
    assert find("./sentiment") == Path("sentiment") == find(Path("sentiment"))
    bundle.write("sentiment", tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    assert Classifier.load("sentiment").label_names == tiny_bundle.LABELS


@pytest.mark.parametrize("name", ["sentimant", "topics"])
def test_an_unknown_name_is_answered_with_those_there_are(name: str, tmp_path: Path) -> None:
    found = predict(name, "text", cwd=tmp_path)
    assert found.returncode == 2
    assert "Shipped are sentiment" in found.stderr
    assert ("Did you mean sentiment?" in found.stderr) is (name == "sentimant")
    assert "Traceback" not in found.stderr
    with pytest.raises(BundleError, match="Shipped are sentiment"):
        Classifier.load(name)


def test_it_is_measured_by_its_name(tmp_path: Path) -> None:
    rows = [{"text": "a wonderful film", "label": 1}, {"text": "a terrible film", "label": 0}]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = [sys.executable, "-m", "stepdown", "evaluate", "sentiment", "data.jsonl", "--json"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ, timeout=120)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["metrics"]["accuracy"]["value"] == 1.0


def test_a_model_folder_of_its_name_is_measured_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_teacher(tmp_path / "sentiment")
    (tmp_path / "data.jsonl").write_text('{"text": "a film", "label": 1}\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["evaluate", "sentiment", "data.jsonl"])
    assert isinstance(result.exception, ModelError)
    assert "no trained classification head" in str(result.exception)


def test_help_names_it() -> None:
    for command in ("predict", "evaluate"):
        words = [sys.executable, "-m", "stepdown", command, "--help"]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        for name in shipped():
            assert f"({name})" in told


def test_the_page_about_shipped_models_names_them_all() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for name, path in shipped().items():
        assert f"## `{name}`" in page
        assert f"--out src/stepdown/models/{path.name}" in page


# --- ordinary text --------------------------------------------------------------------------------------------------

# As treebanks write, and SST-2 with them, and as people do.
SUBJECTS = {
    "it 's": "it's",
    "the film is n't": "the film isn't",
    "you ca n't say it 's": "you can't say it's",
}
JUDGEMENTS = {
    "a joy": "a joy",
    "-lrb- sadly -rrb- dull": "(sadly) dull",
    "`` great '' , really": '"great", really',
}
ENDS = {
    " , i 'd say .": ", I'd say.",
    " -- we 've seen worse ...": " -- we've seen worse...",
    " !": "!",
    "": "",
}
PAIRS = [
    (f"{subject[0]} {judgement[0]}{end[0]}", f"{subject[1]} {judgement[1]}{end[1]}")
    for subject, judgement, end in itertools.product(SUBJECTS.items(), JUDGEMENTS.items(), ENDS.items())
]
STYLES = {
    "ordinary": lambda text: text,
    "sentence": lambda text: text[0].upper() + text[1:],
    "title": lambda text: re.sub(r"[a-z][\w']*", lambda word: word[0][0].upper() + word[0][1:], text),
    "upper": str.upper,
    "typographic": lambda text: re.sub(r'"(.*?)"', "“\\1”", text.replace("'", "’")).replace(" -- ", "—"),
    "spaced": lambda text: "  " + text.replace(" ", "\u00a0 ") + "\n",
}


@pytest.mark.parametrize("style", STYLES)
def test_ordinary_text_is_read_as_the_text_it_learnt_from(style: str, sentiment: Classifier) -> None:
    treebank = [text for text, _ in PAIRS]
    written = [STYLES[style](text) for _, text in PAIRS]
    assert len(set(written)) == len(written) == 36
    np.testing.assert_array_equal(sentiment.logits(written), sentiment.logits(treebank))
