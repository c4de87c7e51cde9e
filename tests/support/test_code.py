"""Which code a stage depends on: all that it loads and nothing else; of a training, no comment or docstring."""

import functools
import importlib.util
import json
import shutil
import subprocess
import sys

import pytest

from stages.kinds import names
from stages.support.code import _meaning, code_digest, stage_code, training_code
from tests.copies import ROOT, small_project
from tests.forked import run_forked

CELLS = ("rnn", "lstm", "gru")
A_STUDY = {"bits": "latch", "classification": "imdb", "language_model": "ptb", "sequence": "damped", "series": "own"}
OWN = {
    "kind": "series",
    "corpus": {"source": "file", "value": "y"},
    "tokens": {"window": 3, "horizon": 1, "validation_fraction": 0.2, "test_fraction": 0.2},
    "training": {"repeats": "0", "epochs": 1, "batch_size": 8, "learning_rate": 0.01, "hidden_size": 2},
}

STAGE = """
import importlib, json, sys
from pathlib import Path
import stages.tracking.curves, stages.support.params
top, stage, *words = sys.argv[1:]
before = set(sys.modules)
importlib.import_module(f"stages.{stage}").main(*words)
files = [getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name not in before]
print(json.dumps([Path(file).relative_to(top).as_posix() for file in files if file and file.startswith(top)]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project's stages."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def code_in(folder, kind, cell):
    """What the module of a copy says of that copy; loaded anew, as it keeps what it has read."""
    spec = importlib.util.spec_from_file_location("copied_code", folder / "stages/support/code.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.training_code(kind, cell)


unedited = functools.cache(code_in)


def meanings(folder, old, new):
    """Of the training loop's module before and after an edit."""
    text = (ROOT / "stages/training/loop.py").read_text()
    assert text.count(old) >= 1, f"loop.py no longer has {old!r}: name another edit"
    for name, content in (("before.py", text), ("after.py", text.replace(old, new, 1))):
        (folder / name).write_text(content)
    return [_meaning(folder / name) for name in ("before.py", "after.py")]


def changed(copy, file, old, new, kind, cell="gru"):
    """The modules whose digest an edit changes, for a kind and a cell; the edit is undone."""
    path = copy / file
    text = path.read_text()
    assert text.count(old) >= 1
    before = unedited(copy, kind, cell)
    path.write_text(text.replace(old, new, 1))
    try:
        after = code_in(copy, kind, cell)
    finally:
        path.write_text(text)
    assert before.keys() == after.keys()
    return [name for name in before if before[name] != after[name]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""The training loop', '"""THE training loop'),
        ('    """What one batch gave each repeat', '    """WHAT one batch gave each repeat'),
        ("# a look at a loss makes a GPU wait", "# another reason"),
        ("_LOSSES_BETWEEN_CHECKS = 50", "# A comment of its own.\n\n\n_LOSSES_BETWEEN_CHECKS = 50"),
        ("from stages.support.process import StageError\n", "from stages.support.process import StageError\n\n"),
        ("improved: bool) -> None:", "\n        improved: bool\n    ) -> None:"),
    ],
)  # fmt: skip
def test_an_edit_of_words_and_layout_changes_no_meaning(tmp_path, old, new):
    before, after = meanings(tmp_path, old, new)
    assert before == after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("_LOSSES_BETWEEN_CHECKS = 50", "_LOSSES_BETWEEN_CHECKS = 51"),
        ("set_to_none", "set_to_zero"),
        ("import math\n", "import math, os\n"),
    ],
)
def test_an_edit_of_code_changes_the_meaning(tmp_path, old, new):
    before, after = meanings(tmp_path, old, new)
    assert before != after


def test_an_edit_changes_the_digest_of_its_module_alone_and_one_of_words_none(copy):
    words, code = (('"""The training loop', '"""THE training loop'), ("_CHECKS = 50", "_CHECKS = 51"))
    assert changed(copy, "stages/training/loop.py", *words, "classification") == []
    assert changed(copy, "stages/training/loop.py", *code, "bits") == ["stages/training/loop.py"]


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("stages/training/tuning.py", set(names())),
        ("stages/train.py", set(names())),
        ("stages/baselines/series.py", {"series"}),
    ],
)
def test_what_chooses_rates_repeats_and_windows_is_code_of_the_training(file, kinds):
    assert {kind for kind in names() if file in training_code(kind, "gru")} == kinds


def test_the_scores_that_a_baseline_shares_are_code_of_an_evaluation():
    assert "stages/baselines/series.py" in stage_code("evaluate", "series")


def test_a_text_that_is_a_value_is_no_docstring(copy):
    assert changed(copy, "stages/kinds/language_model/task.py", '"perplexity"', '"loss"', "language_model") == [
        "stages/kinds/language_model/task.py"
    ]


DIGESTS = """
import hashlib, json, sys, types
files = types.ModuleType("stages.support.files")  # which needs packages that another Python may lack
files.digest, files.file_digest = lambda value: hashlib.sha256(json.dumps(value).encode()).hexdigest(), None
sys.modules["stages.support.files"] = files
from pathlib import Path
from stages.support.code import _meaning
print({str(path): _meaning(path.resolve()) for path in sorted(Path("stages").rglob("*.py"))})
"""


@pytest.mark.parametrize("name", ["python3.12", "python3.13", "python3.14"])
def test_another_python_has_the_same_digests(name):
    found = shutil.which(name)
    if not found or subprocess.run([found, "--version"], capture_output=True).returncode:
        pytest.skip(f"no {name} in PATH")
    said = [
        subprocess.run([python, "-B", "-c", DIGESTS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for python in (sys.executable, found)
    ]
    assert said[0] == said[1]
    assert "stages/training/loop.py" in said[0]


def test_how_far_a_line_is_indented_is_code(copy):
    path = copy / "stages/training/seeds.py"
    text = path.read_text()
    found = []
    for last in ("    y = 2\n", "y = 2\n"):
        path.write_text(text + "\n\nif __name__:\n    x = 1\n" + last)
        found.append(code_in(copy, "bits", "gru")["stages/training/seeds.py"])
    path.write_text(text)
    assert found[0] != found[1]


@pytest.mark.parametrize("kind", names())
@pytest.mark.parametrize("cell", CELLS)
def test_a_cells_training_names_no_other_cell_and_no_other_kind(kind, cell):
    code = training_code(kind, cell)
    assert [name for name in code if name.startswith("stages/nn/cells/") and name.count("/") == 3] == [
        *(["stages/nn/cells/__init__.py"] if "stages/nn/cells/__init__.py" in code else []),
        f"stages/nn/cells/{cell}.py",
    ]
    assert f"stages/kinds/{kind}/task.py" in code
    assert {name.split("/")[2] for name in code if name.startswith("stages/kinds/")} == {kind}
    assert not [name for name in code if name.startswith(("stages/support/", "stages/studies/", "stages/results/"))]
    assert all((ROOT / name).is_file() for name in code)


def test_a_digest_is_of_the_kind_and_the_cell():
    digests = {(kind, cell): code_digest(kind, cell) for kind in names() for cell in CELLS}
    assert len(set(digests.values())) == len(digests)


@pytest.mark.parametrize("kind", names())
def test_all_that_a_stage_loads_is_among_its_code(tmp_path, kind):
    """Seen as it runs, beside what is found by reading: an import in a function, say, or a module named by a text."""
    study = A_STUDY[kind]
    (tmp_path / "own.csv").write_text("x,y\n" + "".join(f"{i},{i * i % 17}\n" for i in range(60)))
    OWN["corpus"]["path"] = str(tmp_path / "own.csv")
    own = {study: OWN} if study == "own" else {}
    folder = small_project(tmp_path / "project", study, {"repeats": 0}, False, cells=["gru"], cell="gru", jobs=1, **own)
    (folder / "load_it.py").write_text(STAGE)
    others = {f"stages/nn/cells/{cell}.py" for cell in CELLS}  # loaded with the table of cells
    others.add("stages/training/parallel.py")  # shares out jobs
    decides = ("stages/kinds/", "stages/nn/", "stages/training/")
    for stage in ("fetch", "tokenize", "baseline", "train", "evaluate", "headline", "compare", "report"):
        words = {"report": [], "train": [study, "gru"], "evaluate": [study, "gru"], "headline": [study, "gru"]}
        command = ["python", "-m", "load_it", f"{ROOT}/", stage, *words.get(stage, [study])]
        done = run_forked(command, folder, stages=ROOT)
        assert done.returncode == 0, done.stderr
        loaded = {name for name in json.loads(done.stdout.splitlines()[-1]) if name.startswith("stages/")}
        loaded = {name for name in loaded if not name.startswith("stages/support/")}
        assert f"stages/{stage}.py" in loaded
        known = set(stage_code(stage, kind)) if stage != "train" else set()
        if stage in ("train", "evaluate"):
            assert f"stages/kinds/{kind}/task.py" in loaded
            known |= set(training_code(kind, "gru"))
            loaded = {name for name in loaded if not name.endswith("__init__.py")}
        if stage == "train":  # its other code reads settings and writes files
            loaded = {name for name in loaded if name.startswith(decides)}
        assert sorted(loaded - known - others) == [], stage


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("stages/studies/imdb.yaml", {"headline", "compare", "report"}),
        ("stages/results/templates/report.html", {"report"}),
        ("stages/text/corpora/aclImdb.sha256.gz", {"fetch"}),
        ("stages/text/corpora/imdb.py", {"fetch"}),
        ("stages/text/tokens/imdb.py", {"tokenize"}),
        ("stages/text/baselines.py", {"baseline"}),
        ("stages/nn/loops/__init__.py", set()),
        ("stages/kinds/classification/task.py", set()),
        ("stages/kinds/sequence/__init__.py", set()),
        ("stages/synthetic/damped.py", set()),
        ("stages/results/row.py", {"evaluate", "headline", "compare", "report"}),
    ],
)
def test_a_file_is_among_the_code_of_the_stages_that_use_it_and_of_no_other(file, stages):
    assert (ROOT / file).is_file()
    others = ("fetch", "tokenize", "baseline", "evaluate", "headline", "compare", "report")
    assert {stage for stage in others if file in stage_code(stage, "classification")} == stages
