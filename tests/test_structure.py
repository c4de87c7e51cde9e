"""The architecture, held: what a stage imports is what it declares, descriptions, and quick imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
EXEMPT = ("stages/support/", "stages/__init__.py")  # never affect a result


def module_files(name: str) -> list[Path]:
    """The files that importing a dotted name runs: its own, and every package's above it."""
    parts = name.split(".")
    files = [ROOT.joinpath(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)]
    return [path for path in [*files, ROOT.joinpath(*parts).with_suffix(".py")] if path.exists()]


def imports(path: Path) -> set[Path]:
    """The project's files that a file imports, at its top or inside its functions."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "stages":
                found.update(module_files(name))
    return found


def all_imports(start: set[Path]) -> set[Path]:
    seen: set[Path] = set()
    todo = set(start)
    while todo:
        path = todo.pop()
        seen.add(path)
        todo |= imports(path) - seen
    return seen


def has_code(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def declares(deps: list[str], path: Path) -> bool:
    relative = path.relative_to(ROOT)
    return any(relative == Path(dep) or Path(dep) in relative.parents for dep in deps)


def studies(stage: str) -> list[str]:
    """The studies that a stage is for: its matrix names the list; a stage without one stands for all alike."""
    matrix = STAGES[stage].get("matrix", {})
    return PARAMS[matrix["study"].strip("${}")] if matrix else [""]


def code_and_imports(stage: str, study: str) -> tuple[list[str], set[Path]]:
    """What code a stage declares for a study, and the files that it imports, some of them by the study's name."""
    code = [dep.replace("${item.study}", study) for dep in STAGES[stage]["deps"] if dep.startswith("stages/")]
    start = {ROOT / (STAGES[stage]["cmd"].split()[3].replace(".", "/") + ".py")}
    by_name = [ROOT / f"stages/{folder}/{study}.py" for folder in ("studies", "synthetic")]
    return code, all_imports(start | {path for path in by_name if path.exists() and declares(code, path)})


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_all_that_it_imports(stage):
    for study in studies(stage):
        code, imported = code_and_imports(stage, study)
        undeclared = sorted(
            str(path.relative_to(ROOT))
            for path in imported
            if not declares(code, path) and not str(path.relative_to(ROOT)).startswith(EXEMPT) and has_code(path)
        )
        assert undeclared == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_no_code_that_none_of_its_studies_imports(stage):
    unused: set[str] = set.intersection(
        *(
            {dep for dep in code if not any(declares([dep], path) for path in imported)}
            for code, imported in (code_and_imports(stage, study) for study in studies(stage))
        )
    )
    assert unused == set()


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does_and_ends_with_dvc(stage):
    assert STAGES[stage]["desc"]
    assert STAGES[stage]["cmd"].startswith("exec python -m stages.")


def test_nn_knows_no_study_and_only_tracking_imports_mlflow():
    for path in (ROOT / "stages").rglob("*.py"):
        names = {
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        relative = path.relative_to(ROOT / "stages")
        if any(str(name).split(".")[0] == "mlflow" for name in names):
            assert str(relative) == "support/tracking.py"
        if any(str(name).split(".")[0] == "dvc" for name in names):
            assert str(relative) == "record.py"
        if relative.parts[0] == "nn":
            assert not [name for name in names if str(name).startswith("stages.studies")]


@pytest.mark.parametrize(
    "stage",
    [
        "check",
        "fetch",
        "tokenize",
        "baseline",
        "headline",
        "compare",
        "report",
        "track",
        "show",
        "record",
        "readme",
        "mend",
        "predict",
        "sample",
    ],
)
def test_a_stage_that_does_not_train_is_imported_at_once(stage):
    heavy = "{m.split('.')[0] for m in sys.modules} & {'torch', 'mlflow', 'sklearn', 'scipy', 'pandas', 'matplotlib'}"
    code = f"import sys, stages.{stage}; print(sorted({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]])
def test_lint(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_product_names_no_folder_of_somebodys_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = ROOT / name
        if not name.startswith("tests/") and path.suffix != ".png" and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not re.search(r"/(root|home|work|Users)/", text), name
