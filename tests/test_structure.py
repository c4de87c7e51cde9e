"""The architecture, held: what a stage depends on, who knows whom, descriptions, and quick imports."""

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


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"check"}))
def test_a_stage_depends_on_its_own_settings_which_name_its_code_and_on_no_other(stage):
    files = {one: "${item.study}/" + one + "/${item.cell}" for one in ("train", "evaluate")} | {"report": "report"}
    named = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("data/settings", "stages"))]
    assert named == [f"data/settings/{files.get(stage, '${item.study}/' + stage)}.json"]
    assert "params" not in STAGES[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does_and_ends_with_dvc(stage):
    assert STAGES[stage]["desc"]
    assert STAGES[stage]["cmd"].startswith("exec python -m stages.")


def test_nn_knows_no_study_a_kind_no_other_and_only_tracking_imports_mlflow():
    for path in (ROOT / "stages").rglob("*.py"):
        names = {
            alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        relative = path.relative_to(ROOT / "stages")
        if any(str(name).split(".")[0] == "mlflow" for name in names):
            assert relative.parts[0] == "tracking"
        if any(str(name).split(".")[0] == "dvc" for name in names):
            assert str(relative) in ("record.py", "mend.py")
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
    readers |= {f"yaml.{name}" for name in ("unsafe_load", "full_load", "Loader", "UnsafeLoader", "FullLoader")}
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


def test_what_does_not_train_is_imported_at_once():
    light = "check fetch tokenize baseline headline compare report track show record readme mend predict sample"
    modules = ", ".join(f"stages.{stage}" for stage in light.split())
    heavy = "{m.split('.')[0] for m in sys.modules} & {'torch', 'mlflow', 'sklearn', 'scipy', 'pandas', 'matplotlib'}"
    code = f"import sys, {modules}\nfrom stages.kinds import kind, names\n[kind(n) for n in names()]\n"
    code += f"print(sorted({heavy}))"
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
