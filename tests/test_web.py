"""`stepdown export --format web`: what is in the folder, what it is made of, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import html.entities
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundle
from click.testing import CliRunner, Result
from websites import own_cache, website

from stepdown import Classifier, store
from stepdown.cli import cli
from stepdown.errors import BundleError, HubError, InputError
from stepdown.runtime import bundle
from stepdown.runtime.shipped import shipped
from stepdown.web import ort
from stepdown.web.folder import engine

ENGINE = Path(__file__).parent.parent / "src" / "stepdown" / "web" / "engine"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, own_environment: Mapping[str, str]) -> Path:
    return website("sentiment", tmp_path_factory.mktemp("web") / "site", own_environment)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, words), "--format", "web"])


def refused(*words: object) -> str:
    found = invoke(*words)
    assert isinstance(found.exception, InputError | HubError), found.output
    assert "\n" not in str(found.exception)
    return str(found.exception)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


# --- what is in it --------------------------------------------------------------------------------------------------


def test_the_folder_has_all_that_it_needs_and_says_so(site: Path) -> None:
    files = content(site)
    manifest = json.loads(files.pop("manifest.json"))
    sizes = {
        name: {"size": len(part), "sha256": hashlib.sha256(part).hexdigest()} for name, part in files.items()
    }
    assert manifest["files"] == sizes
    assert manifest["name"] == "sentiment"
    runtime = manifest["packages"]["onnxruntime-web"]
    assert set(runtime["files"]) | {"LICENSE"} == {path.name for path in (site / "onnxruntime-web").iterdir()}
    assert sum(len(part) for part in files.values()) < 12_500_000
    assert Classifier.load(site / "bundle").predict(["It's GREAT!!"]) == ["positive"]
    said = files["README.md"].decode()
    for told in (
        "python3 -m http.server",
        "file://",
        f"version {ort.RELEASE.version}",
        "11.9 MB",
        "Classifier.load",
    ):
        assert told in said
    assert "$" not in said


def test_the_bundle_is_the_one_that_was_named(site: Path) -> None:
    packed, original = bundle.read(site / "bundle"), bundle.read(shipped()["sentiment"])
    assert packed == original
    assert (site / "bundle" / "bundle.json").read_bytes() != b""


def test_every_module_is_there_that_another_one_asks_for(site: Path) -> None:
    for path in (site / "engine").glob("*.js"):
        for wanted in re.findall(
            r'^(?:import|export) .*? from "(.*?)";$', path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert (path.parent / wanted).is_file(), f"{path.name} imports {wanted}"
    assert engine().keys() == {path.name for path in ENGINE.iterdir()} | {"named-references.js"}
    table = re.search(r"Object\.entries\((.*)\)\);", engine()["named-references.js"].decode(), re.DOTALL)
    assert table is not None
    assert json.loads(table[1]) == html.entities.html5


def test_nothing_in_it_points_elsewhere(site: Path) -> None:
    ours = [site / "index.html", *(site / "engine").glob("*.js")]
    for path in ours:
        urls = re.findall(r"https?://[^'\"\s<)]+", path.read_text(encoding="utf-8"))
        assert {url for url in urls if not url.startswith("http://localhost:8000")} <= {
            "http://www.w3.org/2000/svg"
        }, path
        assert not re.search(
            r"innerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=", path.read_text("utf-8")
        )


def test_the_page_may_run_its_own_script_and_nothing_else(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    (told,) = re.findall('<meta http-equiv="Content-Security-Policy" content="(.*?)">', page)
    assert page.index("Content-Security-Policy") < page.index("<style>")
    policy = dict(part.split(" ", 1) for part in html.unescape(told).split("; "))
    assert policy["default-src"] == policy["base-uri"] == "'none'"
    assert policy["connect-src"] == policy["worker-src"] == "'self'"
    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


def test_the_release_is_the_one_that_npm_lists(site: Path, own_environment: Mapping[str, str]) -> None:
    with own_cache(own_environment):
        archive = (store.cache_dir() / "downloads" / ort.RELEASE.filename).read_bytes()
    assert len(archive) == ort.RELEASE.size
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    assert ort.RELEASE.integrity == f"sha512-{digest}"
    first = (site / "onnxruntime-web" / "ort.wasm.min.js").read_text(encoding="utf-8")[:400]
    assert f"ONNX Runtime Web v{ort.RELEASE.version}" in first
    assert "MIT License" in first


# --- how it is asked for --------------------------------------------------------------------------------------------


def test_a_former_folder_is_replaced_and_the_name_can_be_given(
    own_environment: Mapping[str, str], site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle.write(tmp_path / "tiny.stepdown", tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    with own_cache(own_environment):
        assert invoke("tiny.stepdown").exit_code == 0
        before = content(tmp_path / "tiny-web")
        (tmp_path / "tiny-web" / "stray.txt").touch()
        found = invoke("tiny.stepdown", "--name", "A <b> & c", "--out", "tiny-web")
    assert found.output.strip() == str(tmp_path / "tiny-web")
    after = content(tmp_path / "tiny-web")
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {
        "index.html",
        "README.md",
        "manifest.json",
    }
    assert b'<h1 id="name">A &lt;b&gt; &amp; c</h1>' in after["index.html"]
    assert b'<h1 id="name">Tiny</h1>' in before["index.html"]


def test_what_is_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text('{"kind": "mine"}', encoding="utf-8")
    (tmp_path / "file").touch()
    for name in ("mine", "file"):
        assert "Choose another place with --out." in refused("sentiment", "--out", tmp_path / name)
    assert (tmp_path / "mine" / "manifest.json").read_text(encoding="utf-8") == '{"kind": "mine"}'


def test_options_of_packing_are_for_runs(tmp_path: Path) -> None:
    said = refused("sentiment", "--out", tmp_path / "site", "--max-length", "100")
    assert said.startswith("--max-length says how a model of a run is packed, and sentiment is no run.")
    assert not (tmp_path / "site").exists()


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    assert "Did you mean sentiment?" in refused("sentimant", "--out", tmp_path / "site")
    assert "There is no bundle at" in refused(tmp_path / "nowhere.stepdown", "--out", tmp_path / "site")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").touch()
    assert "the run is not finished" in refused(tmp_path / "run", "--out", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_tokenizer_that_needs_a_library_is_refused_with_the_reason(tmp_path: Path) -> None:
    spec = {"kind": "huggingface", "files": ["tokenizer.json"], "normalisation": {"tokenizers": None}}
    files = tiny_bundle.contents(tmp_path)
    files["tokenizer.json"] = files.pop("words.json")
    bundle.write(tmp_path / "b", replace(tiny_bundle.about(), tokenizer=spec), files)
    said = refused(tmp_path / "b", "--out", tmp_path / "site")
    assert "'huggingface', which needs a library that does not run in a browser" in said
    assert "There run words and bert-wordpiece" in said


def test_a_network_that_cannot_run_is_refused(tmp_path: Path) -> None:
    files = tiny_bundle.contents(tmp_path) | {"model.onnx": b"no network"}
    bundle.write(tmp_path / "b", tiny_bundle.about(), files)
    found = invoke(tmp_path / "b", "--out", tmp_path / "site")
    assert isinstance(found.exception, BundleError)
    assert "is no network that a bundle may have" in str(found.exception)


def test_without_the_release_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "no address")
    said = refused("sentiment", "--out", tmp_path / "site")
    assert said.startswith(
        "onnxruntime-web-1.22.0.tgz could not be fetched: npm_config_registry names no http"
    )
    assert list(tmp_path.iterdir()) == []
