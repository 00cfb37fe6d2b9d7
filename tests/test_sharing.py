"""Models on a hub: what `stepdown push` sends, what it refuses to send, and what becomes of it when things go wrong."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

pytest.importorskip("datasets", reason="needs the extra train")

from huggingface_hub import ModelCard
from test_report import a_run

from stepdown import Classifier, recipe, report, runs, sharing
from stepdown.errors import InputError, ModelError
from stepdown.native import _uncalibrated
from stepdown.runtime import Calibration, bundle
from stepdown.students import saved
from stepdown.students.model import logits
from tests import interrupts
from tests.conftest import corpus, invoke, make_bert_hash, make_teacher, write_reviews
from tests.hub_server import Fault, Hub
from tests.hub_user import QUICK, Client, settings, stepdown

TEXTS = corpus(40, seed=9)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: a teacher, its first layer, a bert_hash, and a compact student that becomes the bundle."""
    folder = tmp_path_factory.mktemp("sharing")
    source = write_reviews(folder / "reviews.csv")
    make_teacher(folder / "teacher")
    make_bert_hash(folder / "hash")
    rungs = [
        {"model": "teacher:1", "epochs": 1, "learning_rate": 1e-3},
        {"model": str(folder / "hash"), "epochs": 1, "learning_rate": 1e-3},
        {"model": "compact", "max_params": 15_000, "epochs": 3, "batch_size": 32},
    ]
    chosen = recipe.parse(
        {
            "name": "toy",
            "data": {"source": str(source), "text": "review", "label": "verdict", "max_length": 32},
            "teacher": {"model": str(folder / "teacher"), "epochs": 4, "learning_rate": 2e-3},
            "rungs": rungs,
            "compare": {"arms": ["chain"], "seeds": 1},
        }
    )
    runs.work_through(runs.open_run(chosen, folder / "run"))
    return folder / "run"


@pytest.fixture(scope="module")
def native(run: Path) -> Path:
    """Its teacher in Hugging Face's layout."""
    return exported(run, "teacher")


@pytest.fixture(scope="module")
def hashed(run: Path) -> Path:
    """Its bert_hash in Hugging Face's layout."""
    return exported(run, "rung2-chain-seed0")


def exported(run: Path, cell: str) -> Path:
    target = run.parent / f"native-{cell}"
    words = ("--cell", cell, "--format", "native", "--out", target, "--licence", "MIT", "--language", "en")
    done = invoke("export", run, *words)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{target}\n"
    return target


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Client]]:
    running = Hub()
    client = Client(running, tmp_path_factory.mktemp("home"), **QUICK)
    yield running, client
    client.close()
    running.close()


@pytest.fixture
def shared(_shared: tuple[Hub, Client]) -> tuple[Hub, Client]:
    """A hub where `hf_mine` may write in the name of `me`, and a client that tests share."""
    hub = _shared[0]
    hub.requests.clear()
    hub.faults.clear()
    hub.tokens |= {"hf_mine", "hf_read"}
    hub.writers = {"hf_mine": {"me"}}
    return _shared


@pytest.fixture
def hub() -> Iterator[Hub]:
    running = Hub()
    running.tokens |= {"hf_mine"}
    running.writers = {"hf_mine": {"me"}}
    yield running
    running.close()


def push(source: Path, to: str, **more: Any) -> dict[str, Any]:
    return {"push": str(source), "to": to, "token": "hf_mine", "patience": 2, **more}


def files_of(hub: Hub, name: str, revision: str = "main") -> dict[str, bytes]:
    made = hub.repositories["models", name.lower()]
    commit = made.at(revision)
    assert commit is not None
    return {name: body for name, body in made.commits[commit].items() if name != ".gitattributes"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetched(hub: Hub, name: str, folder: Path, home: Path, *, revision: str = "main") -> Path:
    """What the real client's own command downloads."""
    words = ("download", name, "--revision", revision, "--local-dir", str(folder))
    command = [sys.executable, "-m", "huggingface_hub.cli.hf", *words]
    done = subprocess.run(command, env=settings(hub, home), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


# --- there and back


def test_a_run_is_pushed_and_its_bundle_comes_back_whole(hub: Hub, run: Path, tmp_path: Path) -> None:
    done = stepdown(hub, tmp_path, "push", str(run), "me/toy", HF_TOKEN="hf_mine")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{hub.url}/me/toy\n"
    assert re.search(r"\n  model.onnx +[\d,]+ bytes\n", done.stderr)
    assert "Making the repository me/toy …\n" in done.stderr
    assert "the licence 'unknown'" in done.stderr
    assert files_of(hub, "me/toy") == contents(run / "bundle")
    made = hub.repositories["models", "me/toy"]
    assert len(made.commits) == 2, "what the hub makes itself, and one commit with all of it"
    assert made.messages[made.head].startswith("Upload with stepdown ")

    back = fetched(hub, "me/toy", tmp_path / "back", tmp_path)
    original, returned = Classifier.load(run / "bundle"), Classifier.load(back)
    assert (back / "bundle.json").read_bytes() == (run / "bundle" / "bundle.json").read_bytes()
    assert returned.predict_proba(TEXTS).tolist() == original.predict_proba(TEXTS).tolist()
    asked = stepdown(hub, tmp_path, "predict", "back", "a good word1")
    assert asked.returncode == 0, asked.stderr
    assert ModelCard.load(back / "README.md").data.library_name == "stepdown"


def test_nothing_is_sent_but_what_was_named(hub: Hub, run: Path, tmp_path: Path) -> None:
    bundle_and_more = tmp_path / "mine"
    shutil.copytree(run / "bundle", bundle_and_more)
    (bundle_and_more / "secrets.txt").write_text("hf_secret")
    (bundle_and_more / "notes").mkdir()
    done = stepdown(hub, tmp_path, "push", "mine", "me/toy", "--json", HF_TOKEN="hf_mine")
    assert done.returncode == 0, done.stderr
    assert "Not sent: notes, secrets.txt.\n" in done.stderr
    told = json.loads(done.stdout)
    assert told["files"] == {name: len(body) for name, body in sorted(contents(run / "bundle").items())}
    assert (told["new"], told["sent"], told["private"], told["licence"]) == (True, True, False, "unknown")
    assert told["commit"] == hub.repositories["models", "me/toy"].head
    assert files_of(hub, "me/toy") == contents(run / "bundle")
    for one in hub.requests:
        assert b"hf_" not in one.body, "no token and no secret in any body"
        assert str(tmp_path).encode() not in one.body
        assert str(Path.home()).encode() + b"/" not in one.body
        assert "telemetry" not in one.path
        # The hub knows who sends; where large files go knows a token of its own.
        assert (one.token or "").startswith("hf_mine" if one.host == "127.0.0.1" else "xet_")


def test_the_older_way_of_large_files_serves_too(hub: Hub, native: Path, tmp_path: Path) -> None:
    words = ("push", str(native), "me/toy", "--private", "--message", "Mine")
    done = stepdown(hub, tmp_path, *words, HF_TOKEN="hf_mine", HF_HUB_DISABLE_XET="1")
    assert done.returncode == 0, done.stderr
    assert hub.asked("PUT /cdn/upload/") == 1
    assert not hub.asked("xet|/v1/")
    assert files_of(hub, "me/toy") == contents(native)
    made = hub.repositories["models", "me/toy"]
    assert made.messages[made.head] == "Mine"
    assert made.readers == {"hf_mine"}, "private"
    assert not any(one.token for one in hub.requests if one.host == "localhost")


def test_a_dry_run_opens_no_connection(hub: Hub, run: Path, tmp_path: Path) -> None:
    done = stepdown(hub, tmp_path, "push", str(run), "me/toy", "--dry-run", "--json", "--branch", "v1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("Nothing was sent.\n")
    told = json.loads(done.stdout)
    assert (told["sent"], told["url"]) == (False, f"{hub.url}/me/toy/tree/v1")
    assert hub.requests == []


def test_models_come_back_as_transformers_and_txtai_want_them(
    shared: tuple[Hub, Client], native: Path, hashed: Path, tmp_path: Path
) -> None:
    """By their names at the hub, in the code that their cards give, and with the answers that they had here."""
    hub, client = shared
    sources = {"me/bert": native, "me/hashed": hashed}
    client.opened(*(push(source, name) for name, source in sources.items()))
    code = ""
    for name, source in sources.items():
        card = ModelCard((source / "README.md").read_text(encoding="utf-8"))
        assert (card.data.license, card.data.language, card.data.library_name) == (
            "mit",
            ["en"],
            "transformers",
        )
        blocks = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
        assert len(blocks) == 2
        code += "".join(blocks).replace("THIS_FOLDER", name)
    # txtai is no dependency; its Labels and ours say the same (tests/test_compat.py).
    code = code.replace("txtai.pipeline", "stepdown.compat").replace("…", TEXTS[0])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=settings(hub, tmp_path, HF_TOKEN="hf_mine", HF_HUB_DISABLE_PROGRESS_BARS="1"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert len(said) == 4
    for source, pipeline, labels in zip(sources.values(), said[::2], said[1::2], strict=True):
        model = saved.load(source)
        scores = softmax(logits(model, model.encode(TEXTS[:1]))[0].astype(np.float64))
        (of_pipeline,) = ast.literal_eval(pipeline)
        assert {one["label"]: one["score"] for one in of_pipeline} == pytest.approx(
            dict(zip(model.label_names, scores, strict=True)), abs=1e-5
        )
        assert dict(ast.literal_eval(labels)) == pytest.approx(dict(enumerate(scores)), abs=1e-5)


def test_the_code_of_a_bundles_card_runs(run: Path, tmp_path: Path) -> None:
    text = Classifier.load(run / "bundle").card
    python = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shell = re.findall(r"```sh\npip install stepdown\nstepdown (.*?)\n```", text, re.DOTALL)
    assert (len(python), len(shell)) == (1, 1)
    environment = {**os.environ, "PYTHONPATH": str(Path(sharing.__file__).parents[2])}
    code = python[0].replace("THIS_FOLDER", str(run / "bundle")).replace("…", "a good word1")
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout in ("['positive']\n", "['negative']\n"), ran.stderr
    asked = invoke(*shell[0].replace("THIS_FOLDER", str(run / "bundle")).replace('"', "").split(" ", 2))
    assert asked.exit_code == 0, asked.output


def test_a_bundle_on_a_hub_is_told_from_a_model(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    hub.add("models", "me/packed", contents(run / "bundle"))
    (found,) = client.opened({"model": "me/packed"})
    assert found["code"] == 2
    assert "me/packed is a bundle of stepdown" in found["says"]
    assert "hf download me/packed --local-dir packed" in found["says"]


def test_what_is_there_already_is_not_sent_again(shared: tuple[Hub, Client], run: Path, native: Path) -> None:
    hub, client = shared
    first, again, other, third = client.opened(
        push(run, "me/twice"),
        push(run / "bundle", "me/twice"),
        push(native, "me/twice", branch="transformers"),
        push(run, "me/twice", private=False, message="Not needed"),
    )
    assert (first["is_new"], first["is_changed"]) == (True, True)
    for one in (again, third):
        assert (one["is_new"], one["is_changed"], one["commit"]) == (False, False, first["commit"])
    assert hub.asked("POST /api/models/me/twice/commit/main") == 1
    assert other["url"].endswith("/me/twice/tree/transformers")
    assert other["others"] == ["bundle.json", "model.onnx", "words.json"], "nothing is taken away unasked"
    assert files_of(hub, "me/twice", "transformers").items() >= contents(native).items()
    assert files_of(hub, "me/twice") == contents(run / "bundle")


def test_a_single_file_is_pushed_as_the_files_in_it(
    shared: tuple[Hub, Client], run: Path, tmp_path: Path
) -> None:
    hub, client = shared
    held = bundle.read(run / "bundle")
    bundle.write(tmp_path / "one.stepdown", held.about, held.files)
    client.opened(push(tmp_path / "one.stepdown", "me/one"))
    assert files_of(hub, "me/one") == contents(run / "bundle")


# --- what is not sent


def refused(source: Path, to: str = "me/toy") -> str:
    with pytest.raises(InputError) as caught:
        sharing.check(sharing.parcel(source), to)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_only_bundles_runs_and_models_are_sent(run: Path, tmp_path: Path) -> None:
    (tmp_path / "unfinished" / "cells").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"pickle")
    assert "is not finished" in refused(tmp_path / "unfinished")
    assert "There is no bundle at" in refused(tmp_path / "empty")
    assert "has no model.safetensors" in refused(tmp_path / "pickled")
    assert "There is no " in refused(tmp_path / "nowhere")
    assert "stepdown export RUN --cell rung3-chain-seed0" in refused(run / "cells" / "rung3-chain-seed0")
    assert f"stepdown export {run} --cell teacher --format native" in refused(run / "cells" / "teacher")
    for name in ("toy", "a/b/c", "me/to y", "", "me/", "-/x", "me/toy.git"):
        assert "cannot be a repository" in refused(run, name)


def test_a_bundle_that_fails_its_own_check_stays_here(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "bundle", tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("# Mine now\n")
    assert "README.md has 11 bytes" in refused(tmp_path / "mine")


def test_a_model_that_is_damaged_stays_here(native: Path, tmp_path: Path) -> None:
    for name, content in (("model.safetensors", b"\x08" + bytes(20)), ("config.json", b"[]")):
        shutil.copytree(native, tmp_path / name)
        (tmp_path / name / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{name} is damaged"):
            sharing.parcel(tmp_path / name)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (None, "has no README.md"),
        ("# Mine\n", "state no licence"),
        ("---\nlanguage: en\n---\n# Mine\n", "state no licence"),
        ("---\nlicense: [\n---\n# Mine\n", "cannot be read"),
        ("---\n- license\n---\n# Mine\n", "cannot be read"),
    ],
)
def test_a_card_without_a_licence_stays_here(
    card: str | None, says: str, native: Path, tmp_path: Path
) -> None:
    shutil.copytree(native, tmp_path / "mine")
    (tmp_path / "mine" / "README.md").unlink()
    if card is not None:
        (tmp_path / "mine" / "README.md").write_text(card, encoding="utf-8")
    told = refused(tmp_path / "mine")
    assert says in told
    assert "license: ID" in told


def test_paths_of_this_machine_stay_here(
    native: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path("/users/some.one")
    monkeypatch.setenv("HOME", str(home))
    for name, field in (("config.json", "_name_or_path"), ("tokenizer_config.json", "name_or_path")):
        shutil.copytree(native, tmp_path / name)
        about = json.loads((tmp_path / name / name).read_text())
        (tmp_path / name / name).write_text(json.dumps({**about, field: str(home / "secret-project")}))
        assert f"{name} of {tmp_path / name} tells of {home}" in refused(tmp_path / name)
    shutil.copytree(native, tmp_path / "fine")
    # What only begins alike, or is an address, is no path of this machine.
    with (tmp_path / "fine" / "README.md").open("a", encoding="utf-8") as card:
        card.write(f"\nSee {home}-else and https://hub.example{home}/x\n")
    assert sharing.check(sharing.parcel(tmp_path / "fine"), "me/toy") == "mit"


def test_without_a_token_or_offline_nothing_is_tried(
    shared: tuple[Hub, Client], run: Path, tmp_path: Path
) -> None:
    hub, client = shared
    (found,) = client.opened(push(run, "me/none", token=None))
    assert (found["error"], found["code"]) == ("InputError", 2)
    assert "Set HF_TOKEN" in found["says"]
    offline = stepdown(hub, tmp_path, "push", str(run), "me/none", HF_TOKEN="hf_mine", HF_HUB_OFFLINE="1")
    assert offline.returncode == 1
    assert "HF_HUB_OFFLINE keeps anything from being sent" in offline.stderr
    assert hub.requests == []


def test_what_is_public_does_not_take_what_was_to_be_private(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    hub.add("models", "me/public", {"a.txt": b"a"})
    steps = [push(run, "me/public", private=True, branch=branch) for branch in ("main", "new")]
    for found in client.opened(*steps):
        assert found["code"] == 2
        assert "is public, and --private was asked for" in found["says"]
    assert set(hub.repositories["models", "me/public"].branches) == {"main"}
    assert not hub.asked("POST")


def test_nothing_is_made_that_was_not_to_be_made(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    hub.add("models", "me/here", {"a.txt": b"a"})
    absent, branchless, there = client.opened(
        push(run, "me/absent", create=False),
        push(run, "me/here", create=False, branch="new"),
        push(run, "me/here", create=False),
    )
    assert (absent["code"], branchless["code"]) == (2, 2)
    assert "There is no repository me/absent" in absent["says"]
    assert "me/here has no branch 'new'" in branchless["says"]
    assert there["others"] == ["a.txt"]
    assert ("models", "me/absent") not in hub.repositories


# --- refusals and troubles


def test_tokens_that_may_not_write_are_told(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    hub.add("models", "me/kept", {"a.txt": b"a"})
    wrong, read, stranger, new = client.opened(
        push(run, "me/kept", token="hf_wrong"),
        push(run, "me/kept", token="hf_read"),
        push(run, "you/new"),
        push(run, "me/fresh", token="hf_read"),
    )
    assert {one["code"] for one in (wrong, read, stranger, new)} == {1}
    assert "does not know the token that it was given (401" in wrong["says"]
    assert "does not let the token in use write to me/kept (403" in read["says"]
    for one, name in ((stranger, "you/new"), (new, "me/fresh")):
        owner = name.partition("/")[0]
        assert f"rights to create a model under the namespace {owner})" in one["says"]
        assert f"Nothing in {name} was changed." in one["says"]
    assert files_of(hub, "me/kept") == {"a.txt": b"a"}


Trouble = Callable[[Hub], None]
PASSING: dict[str, Trouble] = {
    "described": lambda hub: hub.fail("GET /api/models/me/described", 500, times=1),
    "made": lambda hub: hub.fail("/api/repos/create", 503, times=1),
    "asked": lambda hub: hub.fail("me/asked/preupload", 500, times=1),
    "committed": lambda hub: hub.fail("me/committed/commit", 500, times=2),
    "limited": lambda hub: hub.fail("me/limited/commit", 429, times=1, **{"Retry-After": "1"}),
    "silent": lambda hub: hub.stall("me/silent/commit", times=1),
    "reset": lambda hub: hub.reset("me/reset/commit", times=1),
    "lost": lambda hub: hub.lose("me/lost/commit", times=1),
}


def test_troubles_that_pass_are_waited_for_and_leave_one_commit(
    shared: tuple[Hub, Client], run: Path
) -> None:
    hub, client = shared
    for trouble in PASSING.values():
        trouble(hub)
    found = client.opened(*(push(run, f"me/{name}") for name in PASSING))
    for name, one in zip(PASSING, found, strict=True):
        assert "says" not in one, one
        assert one["is_changed"]
        made = hub.repositories["models", f"me/{name}"]
        assert (len(made.commits), one["commit"]) == (2, made.head), name
        assert files_of(hub, f"me/{name}") == contents(run / "bundle")
    assert all(fault.times == 0 for fault in hub.faults), "every trouble was met"


STAYING: dict[str, tuple[Trouble, str]] = {
    "down": (lambda hub: hub.fail("me/down/commit", 500), "the hub answered 500."),
    "long": (
        lambda hub: hub.fail("me/long/commit", 429, **{"Retry-After": "3600"}),
        "the hub answered 429 and asks to wait 3600 seconds.",
    ),
    "busy": (lambda hub: hub.fail("me/busy/commit", 409), "is being changed by somebody else (409"),
    "large": (lambda hub: hub.fail("me/large/commit", 413), "does not take so much (413"),
    "gone": (lambda hub: hub.fail("me/gone/commit", 404), "has no me/gone, or does not show it"),
    "closed": (lambda hub: hub.fail("me/closed/xet-write-token", 403), "write to me/closed (403)"),
    "odd": (lambda hub: hub.fail("me/odd/commit", 418), "refused what was sent to me/odd (418"),
    "stuck": (lambda hub: hub.stall("me/stuck/commit"), "stood still or hung up"),
}


def test_troubles_that_stay_are_told_in_one_line_and_change_nothing(
    shared: tuple[Hub, Client], run: Path
) -> None:
    hub, client = shared
    for name, (trouble, _) in STAYING.items():
        hub.add("models", f"me/{name}", {"a.txt": b"a"})
        trouble(hub)
    found = client.opened(*(push(run, f"me/{name}", patience=1) for name in STAYING))
    for (name, (_, says)), one in zip(STAYING.items(), found, strict=True):
        assert (one["error"], one["code"]) == ("HubError", 1), one
        assert says in one["says"]
        assert f"Nothing in me/{name} was changed." in one["says"]
        assert files_of(hub, f"me/{name}") == {"a.txt": b"a"}
    assert hub.asked("me/long/commit") == 1, "who asks for an hour is not asked again"
    assert hub.asked("me/down/commit") == 4


def test_a_new_repository_that_stayed_empty_is_told(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    hub.fail("/commit/", 413)
    (found,) = client.opened(push(run, "me/hollow"))
    assert "me/hollow was made, and is still empty." in found["says"]
    assert files_of(hub, "me/hollow") == {}


def test_what_answers_but_is_no_hub_is_told(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    page = b"<html>Sign in to the network</html>"
    hub.faults.append(Fault("/api/validate-yaml", 10, lambda handler, _: handler.say(200, {}, page)))
    (found,) = client.opened(push(run, "me/proxied"))
    assert found["code"] == 1
    assert "does not speak as a hub does" in found["says"]


def test_somebody_elses_commit_is_not_overwritten(shared: tuple[Hub, Client], run: Path) -> None:
    hub, client = shared
    made = hub.add("models", "me/raced", {"a.txt": b"a"})

    def first(handler: Any, _: bytes) -> None:
        made.push({"b.txt": b"b"})
        handler.answer()

    hub.faults.append(Fault("me/raced/preupload", 1, first))
    (found,) = client.opened(push(run, "me/raced"))
    assert "me/raced was changed by somebody else meanwhile (412" in found["says"]
    assert files_of(hub, "me/raced") == {"a.txt": b"a", "b.txt": b"b"}


def test_a_card_that_the_hub_finds_fault_with_is_told(
    shared: tuple[Hub, Client], native: Path, tmp_path: Path
) -> None:
    hub, client = shared
    shutil.copytree(native, tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("---\nlicense: My Own!\n---\n# Mine\n", encoding="utf-8")
    (found,) = client.opened(push(tmp_path / "mine", "me/faulty"))
    assert (found["error"], found["code"]) == ("InputError", 2)
    assert 'finds fault with the card\'s metadata: "license" must be one of the known ones.' in found["says"]
    assert not hub.asked("preupload"), "before anything large is sent"


@pytest.mark.parametrize("where", ["/v1/xorbs", "/commit/"])
def test_interrupted_it_leaves_nothing_half_sent(where: str, hub: Hub, run: Path, tmp_path: Path) -> None:
    hub.add("models", "me/toy", {"a.txt": b"a"})
    hub.stall(where)
    command = [sys.executable, "-m", "stepdown", "push", str(run), "me/toy"]
    environment = settings(hub, tmp_path, HF_TOKEN="hf_mine")
    with interrupts.started(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not hub.asked(where) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith("stepdown: interrupted; what was finished stays.\n")
    assert "Traceback" not in said
    assert files_of(hub, "me/toy") == {"a.txt": b"a"}
    # The next one does it all.
    hub.faults.clear()
    again = stepdown(hub, tmp_path, "push", str(run), "me/toy", HF_TOKEN="hf_mine")
    assert again.returncode == 0, again.stderr
    assert "What was there and is not part of it stays: a.txt.\n" in again.stderr
    assert files_of(hub, "me/toy") == {**contents(run / "bundle"), "a.txt": b"a"}


def test_a_hub_that_cannot_be_reached_is_told(run: Path, tmp_path: Path, hub: Hub) -> None:
    hub.close()
    done = stepdown(hub, tmp_path, "push", str(run), "me/toy", HF_TOKEN="hf_mine")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith(f"stepdown: me/toy could not be sent: {hub.url} cannot be reached.")
    assert "HF_ENDPOINT" in last


def test_it_needs_the_hubs_client_and_nothing_that_trains(run: Path) -> None:
    code = "import sys, stepdown.cli.push; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(sharing.__file__).parents[2])}
    asked = {"capture_output": True, "text": True, "env": environment, "timeout": 60}
    assert subprocess.run([sys.executable, "-c", code], **asked).stdout == "[]\n"  # type: ignore[call-overload]
    code = "import sys; sys.modules['huggingface_hub'] = None\nfrom stepdown.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, "push", str(run), "me/toy"], **asked)  # type: ignore[call-overload]
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("stepdown: stepdown push needs the package 'huggingface_hub'")
    assert 'pip install "stepdown[train]"' in done.stderr


# --- export --format native


def test_a_native_export_is_the_model_and_its_card_alone(native: Path, run: Path) -> None:
    assert set(contents(native)) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert (native / "model.safetensors").read_bytes() == (
        run / "cells/teacher/model.safetensors"
    ).read_bytes()
    card = ModelCard((native / "README.md").read_text(encoding="utf-8"))
    assert {"transformers", "bert"} & {card.data.library_name, *card.data.tags} == {"transformers", "bert"}
    assert "auto_map" not in (native / "config.json").read_text()


def test_a_native_export_names_labels_as_asked_and_reads_again(run: Path, tmp_path: Path) -> None:
    words = ("--cell", "rung1-seed0", "--format", "native", "--out", tmp_path / "mine")
    for new in ("bad", "worse"):
        done = invoke("export", run, *words, "--rename", f"negative={new}", "--name", "verdicts")
        assert done.exit_code == 0, done.output
        about = json.loads((tmp_path / "mine" / "config.json").read_text())
        assert about["id2label"] == {"0": new, "1": "positive"}
        assert (
            f"It answers with one of 2 labels: {new}, positive."
            in (tmp_path / "mine" / "README.md").read_text()
        )
    assert "\n# verdicts\n" in (tmp_path / "mine" / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--cell", "rung3-chain-seed0"), "which no other tool reads"),
        (("--cell", "teacher", "--weights", "int8"), "--weights int8 is for bundles"),
        (("--cell", "teacher", "--max-length", "16"), "--max-length is for bundles"),
        (("--cell", "teacher", "--long-texts", "sentences"), "--long-texts is for bundles"),
        (("--cell", "nothing"), "has no cell 'nothing'"),
        (("--cell", "teacher", "--rename", "x=y"), "no label 'x'"),
        (("--cell", "teacher", "--language", "english"), "expected a code of ISO 639"),
    ],
)
def test_what_has_no_native_form_is_told(
    words: tuple[str, ...], says: str, run: Path, tmp_path: Path
) -> None:
    done = invoke("export", run, "--format", "native", "--out", tmp_path / "mine", *words)
    assert isinstance(done.exception, InputError)
    assert says in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_native_export_replaces_models_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    done = invoke("export", run, "--cell", "teacher", "--format", "native", "--out", tmp_path / "mine")
    assert "holds no model, so it is left as it is" in str(done.exception)
    assert contents(tmp_path / "mine") == {"thesis.tex": b"years of work"}


def test_a_native_card_tells_scores_as_other_tools_give_them() -> None:
    """Without temperature, thresholds of the same answers stand elsewhere, and the error is the one before."""
    run = a_run(seeds=1, above=(), arms=("direct",))
    cell = next(one for one in run["cells"] if one["arm"] == "direct")
    error = {"value": 0.2, "low": 0.1, "high": 0.3, "n": 400}
    fitted = Calibration(3.0, "selection", 500, (0.2, 0.5, 0.9))
    cell |= {"calibration": asdict(fitted), "abstaining": [], "calibration_note": None}
    cell["metrics"] |= {"ece_uncalibrated": error}
    found, calibration = _uncalibrated(run, cell["id"], fitted)
    told = next(one for one in found["cells"] if one["arm"] == "direct")
    assert told["metrics"]["ece"] == error
    assert [one for one in found["cells"] if one["arm"] != "direct"] == [
        one for one in run["cells"] if one["arm"] != "direct"
    ]
    text = report.card(found, report.Packed(10, transformer="bert"))
    assert "A bundle divides its outputs by 3, as fitted on 500 selection texts; other tools do not." in text
    assert "calibration error on these texts: 20.0%" in text
    assert "before calibration" not in text
    logits_of_it = np.random.default_rng(0).normal(0, 4, (200, 3))
    assert calibration.temperature == 1.0
    applies = expit(logits_of_it / 3.0) >= np.array(fitted.thresholds)
    assert (applies == (expit(logits_of_it) >= np.array(calibration.thresholds))).all()
    assert len({tuple(row) for row in applies.tolist()}) > 4
    # What was not fitted stays as it is said.
    assert _uncalibrated(run, cell["id"], Calibration())[1] == Calibration()
