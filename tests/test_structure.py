"""The architecture, held: what a stage imports is what it declares, descriptions, and quick imports."""

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SUPPORT = ("stages/support/", "stages/__init__.py")  # never affect a result
# What of these matters to a stage stands in data/settings: values, and for a training a digest of each module.
SETTINGS = {
    **dict.fromkeys(("fetch", "tokenize", "baseline"), ("stages/kinds/", "stages/studies/")),
    **dict.fromkeys(("train", "evaluate"), ("stages/kinds/", "stages/studies/", "stages/nn/", "stages/training/")),
}
OF_A_KIND = {"fetch": "fetch", "tokenize": "tokenize", "baseline": "baselines"}  # the function that a stage calls


def module_files(name: str) -> list[Path]:
    """The files that importing a dotted name runs: its own, and every package's above it."""
    parts = name.split(".")
    files = [ROOT.joinpath(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)]
    return [path for path in [*files, ROOT.joinpath(*parts).with_suffix(".py")] if path.exists()]


def imports(tree: ast.AST) -> set[Path]:
    """The project's files that some code imports, at its top or inside its functions, but for types alone."""
    found: set[Path] = set()
    for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unused = {id(inner) for block in for_types for inner in ast.walk(block)}
    for node in (node for node in ast.walk(tree) if id(node) not in unused):
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


def all_imports(start: set[Path], exempt: tuple[str, ...]) -> set[Path]:
    """Some files and what they import, but for what lies in an exempt folder."""
    seen: set[Path] = set()
    todo = set(start)
    while todo:
        path = todo.pop()
        if not str(path.relative_to(ROOT)).startswith(exempt):
            seen.add(path)
            todo |= imports(ast.parse(path.read_text())) - seen
    return seen


def called_in_kinds(function: str) -> set[Path]:
    """What the function of this name imports in every kind."""
    found: set[Path] = set()
    for path in (ROOT / "stages/kinds").glob("*/__init__.py"):
        (node,) = (n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef) and n.name == function)
        found |= imports(node)
    return found


def has_code(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def declares(deps: list[str], path: Path) -> bool:
    relative = path.relative_to(ROOT)
    return any(relative == Path(dep) or Path(dep) in relative.parents for dep in deps)


def code_and_imports(stage: str) -> tuple[list[str], set[Path]]:
    """What code a stage declares, and the files that it imports."""
    code = [dep for dep in STAGES[stage]["deps"] if dep == "stages" or dep.startswith("stages/")]
    start = {ROOT / (STAGES[stage]["cmd"].split()[3].replace(".", "/") + ".py")}
    if stage in OF_A_KIND:
        start |= called_in_kinds(OF_A_KIND[stage])
    return code, all_imports(start, (*SUPPORT, *SETTINGS.get(stage, ())))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_all_that_it_imports(stage):
    code, imported = code_and_imports(stage)
    if stage == "train":  # decides no number by itself: of what does, its settings have digests
        code = [*code, "stages/train.py"]
    assert sorted(str(p.relative_to(ROOT)) for p in imported if not declares(code, p) and has_code(p)) == []


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_stage_that_may_leave_code_to_its_settings_depends_on_them(stage):
    assert [dep for dep in STAGES[stage]["deps"] if dep.startswith("data/settings/${item.study}/")] != []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_no_code_that_it_does_not_import(stage):
    code, imported = code_and_imports(stage)
    assert [dep for dep in code if not any(declares([dep], path) for path in imported)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does_and_ends_with_dvc(stage):
    assert STAGES[stage]["desc"]
    assert STAGES[stage]["cmd"].startswith("exec python -m stages.")


def test_nn_knows_no_study_a_kind_no_other_and_only_tracking_imports_mlflow():
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
            assert not [name for name in names if str(name).startswith(("stages.studies", "stages.kinds"))]
        if relative.parts[0] == "kinds" and len(relative.parts) > 2:
            assert not [
                name
                for name in names
                if str(name).startswith("stages.kinds.") and str(name).split(".")[2] != relative.parts[1]
            ]


def test_no_pickle_is_read_but_by_the_cache_of_compiled_code():
    readers = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib", "torch.load", "pandas.read_pickle"}
    for path in (ROOT / "stages").rglob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        named = set(modules.values())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                named |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                named.add(f"{modules.get(node.value.id, node.value.id)}.{node.attr}")
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                named.add("allow_pickle")
        found = named & (readers | {"allow_pickle"})
        assert not found or str(path.relative_to(ROOT)) == "stages/nn/compiled.py", (path, found)


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


def test_the_lock_has_the_stages_that_there_are_and_no_others():
    """DVC reads and writes the whole of it for every stage, and leaves in it what is gone."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    expected = set()
    for name, stage in STAGES.items():
        of = {key: params[values.strip("${}")] for key, values in stage.get("matrix", {}).items()}
        expected |= {f"{name}@{'-'.join(place)}".removesuffix("@") for place in itertools.product(*of.values())}
    assert set(yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]) == expected
