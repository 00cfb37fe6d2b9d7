"""The rooms of the package form one line, and what runs a bundle needs nothing that trains."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import stepdown

SOURCE = Path(stepdown.__file__).parent
ROOMS = [
    "errors",
    "destinations",
    "tasks",
    "outputs",
    "recipe",
    "store",
    "assets",
    "data",
    "tokens",
    "transfer",
    "students",
    "losses",
    "objectives",
    "train",
    "evaluate",
    "matching",
    "teacher",
    "targets",
    "compare",
    "results",
    "runtime",
    "ladder",
    "propose",
    "examples",
    "export",
    "report",
    "page",
    "serve",
    "lineage",
    "packing",
    "classifiers",
    "labelling",
    "web",
    "native",
    "sharing",
    "pretraining",
    "runs",
    "api",
    "compat",
    "cli",
]


def _imports(path: Path) -> set[str]:
    """Rooms that a module imports, type-checking blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "stepdown":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stepdown."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names if alias.name.startswith("stepdown.")]
            found |= {name[1] for name in names}
    return found - {"__version__"}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_from_rooms_before_it(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room.startswith("__"):
        return
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    assert _imports(path) <= allowed


def _module(path: Path) -> str:
    return ".".join(("stepdown", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def _modules_imported(path: Path, modules: set[str]) -> set[str]:
    """Modules that a module imports, type-checking blocks included; a name of a package is of its `__init__`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            # The package itself loads what it offers when it is asked for.
            found |= named & modules or {node.module} - {"stepdown"}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules
    return found


def test_no_module_needs_one_that_needs_it() -> None:
    paths = {_module(path): path for path in SOURCE.rglob("*.py")}
    needs = {module: _modules_imported(path, set(paths)) for module, path in paths.items()}
    graphlib.TopologicalSorter(needs).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize(
    "statement",
    [
        "import stepdown; stepdown.Classifier",
        "import stepdown.cli.predict",
        "import stepdown.cli.serve",
        "import stepdown.cli.export",
        "import stepdown.web",
        "import stepdown.cli",
    ],
)
def test_what_runs_a_bundle_imports_nothing_heavy(statement: str) -> None:
    heavy = ["torch", "transformers", "pydantic", "scipy", "pyarrow", "datasets", "rich", "filelock"]
    heavy += ["fastapi", "uvicorn", "prometheus_client"]
    code = f"{statement}\nimport sys\nprint([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_one_answer_imports_nothing_that_it_does_not_need() -> None:
    rare = ["stepdown.tokens.huggingface", "concurrent.futures", "logging", "html", "tempfile"]
    code = "import sys, stepdown.cli.predict\nstepdown.Classifier.load('sentiment').predict(['good'])"
    code += f"\nprint([name for name in {rare} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_looking_at_data_imports_nothing_that_trains() -> None:
    """`stepdown init` took seven seconds of imports when the bar for downloads came with the progress of runs."""
    code = "import sys, stepdown.cli.init\nprint([name for name in ('torch', 'transformers') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_serves_a_bundle_imports_nothing_that_trains() -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    code = "import sys, stepdown.serve.server\nprint('torch' in sys.modules, 'transformers' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False False"


def test_the_public_names_are_there() -> None:
    assert all(getattr(stepdown, name) is not None for name in stepdown.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stepdown.nothing  # noqa: B018
