"""The folder: page, engine, onnxruntime-web and bundle, and a manifest with the digest of every file."""

from __future__ import annotations

import html.entities
import json
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from string import Template

from stepdown import __version__, page, store, tokens
from stepdown.errors import BundleError, InputError
from stepdown.runtime import Bundle, Classifier, bundle, shipped
from stepdown.web import ort
from stepdown.web.front import front

_KIND = "stepdown-web"
# Those that the engine has; see the room's docstring for the others.
_TOKENIZERS = (tokens.Words.kind, tokens.BertWordPiece.kind)


def export(
    named: str,
    target: Path | None,
    *,
    pack: Callable[[Path], object],
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a bundle, or a model of a run, as a folder for the web.

    Args:
        named: the folder of a run, a bundle, or the name of a model that comes with stepdown.
        target: the folder, whose place is taken if it is empty or was made by this function; None for NAME-web in the
            working folder.
        pack: packs the run's model as a bundle at a path; called where `named` is a run.
        name: what the page calls the model; None for the title of its card.
        progress: called with (bytes done, bytes in all) while onnxruntime-web is downloaded, the first time.

    Returns:
        The folder.

    Raises:
        InputError: there is no such bundle or run, its tokenizer does not run in a browser, or `target` is something
            else.
        HubError: onnxruntime-web is not in the cache and cannot be fetched.
        StoreError: the disk fails.
    """
    target = (target or Path(f"{Path(named).resolve().stem}-web")).absolute()
    _check_place(target)
    with tempfile.TemporaryDirectory() as scratch:
        if is_run(named):
            path = Path(scratch) / "packed.stepdown"
            pack(path)
        else:
            path = shipped.find(named)
        packed = bundle.read(path)
    _check_runs(packed, named)
    runtime = ort.files(progress)
    with store.write_folder(target) as folder:
        _write(folder, packed, name or page.title(named, packed.card), runtime)
    return target


def is_run(named: str) -> bool:
    """Whether a path is the folder of a run, finished or not."""
    return (Path(named) / "recipe.toml").is_file()


def _check_place(target: Path) -> None:
    """Raises InputError where something is that must not be replaced."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        is_ours = json.loads((target / store.MANIFEST).read_bytes()).get("kind") == _KIND
    except (OSError, ValueError, AttributeError):
        is_ours = False
    if not is_ours:
        raise InputError(
            f"{target} exists and was not made by `stepdown export --format web`, so it is left as it is. "
            "Choose another place with --out."
        )


def _check_runs(packed: Bundle, named: str) -> None:
    """Raises BundleError where a bundle cannot be run, here or in a browser."""
    kind = packed.about.tokenizer["kind"]
    if kind not in _TOKENIZERS:
        raise BundleError(
            f"{named} has a tokenizer of kind {kind!r}, which needs a library that does not run in a browser. "
            f"There run {' and '.join(_TOKENIZERS)}: the students compact and bag, and models of BERT's kind."
        )
    Classifier(packed, named)  # looks into the network and tries it out


def _write(folder: Path, packed: Bundle, name: str, runtime: Mapping[str, bytes]) -> None:
    bundle.write(folder / "bundle", packed.about, packed.files)
    for file, content in runtime.items():
        store.write_bytes(folder / ort.RELEASE.package / file, content)
    for file, content in engine().items():
        store.write_bytes(folder / "engine" / file, content)
    store.write_text(folder / "index.html", front(name))
    store.write_text(folder / "README.md", _readme(name, folder))
    about = {
        "key": store.digest(folder),
        "kind": _KIND,
        "name": name,
        "stepdown": __version__,
        "packages": {
            ort.RELEASE.package: {
                "version": ort.RELEASE.version,
                "integrity": ort.RELEASE.integrity,
                "licence": ort.LICENCE,
                "files": ort.MEMBERS,
            }
        },
    }
    store.finish(folder, about)


def engine() -> dict[str, bytes]:
    """The modules of the engine, by name: those of this package, and the table that Python keeps for both."""
    modules = resources.files("stepdown.web").joinpath("engine").iterdir()
    table = json.dumps(html.entities.html5, indent=0, sort_keys=True)
    named = (
        "// HTML's named character references; those with old names may lack their semicolon.\n\n"
        f"export const NAMED = new Map(Object.entries({table}));\n"
    )
    return {**{module.name: module.read_bytes() for module in modules}, "named-references.js": named.encode()}


def _readme(name: str, folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    text = resources.files("stepdown.web").joinpath("readme.md").read_text(encoding="utf-8")
    return Template(text).substitute(
        name=name,
        megabytes=f"{size / 1e6:.1f}",
        package=ort.RELEASE.package,
        version=ort.RELEASE.version,
        stepdown=__version__,
    )
