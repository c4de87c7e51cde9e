"""What is compiled ahead is all that trainings of the studies and of people's own files need."""

import yaml

from stages.nn.cells import CELLS
from stages.support.params import load_project
from tests.copies import ROOT, python_in, small_study

PROGRAM = """
import gc, sys
from pathlib import Path
import torch
from numba.core.dispatcher import Dispatcher
from stages.kinds import kind, task_module
from stages.nn.first_calls import first_calls
from stages.studies import arms
from stages.support.params import load_project
from stages.text.corpora.download import Mirror
from stages.training import loop

def compiled():
    found = [d for d in gc.get_objects() if isinstance(d, Dispatcher) and d.py_func.__module__.startswith("stages.")]
    return {
        (id(d), str(one)): f"{d.py_func.__module__}.{d.py_func.__code__.co_name} {one}"
        for d in found
        for one in d.signatures
    }

for function, *arguments in first_calls():
    function(*arguments)
ahead = compiled()
for study, profiles in load_project().studies.items():
    settings, folder = profiles["sample"], Path(study)
    found, module = kind(settings.kind), task_module(settings.kind)
    found.fetch(settings.corpus, folder / "raw", Mirror(), folder / "downloads")
    found.tokenize(settings.tokens, folder / "raw", folder / "ready")
    data = module.Data(folder / "ready")
    repeats = list(range(getattr(settings.training, "repeats_at_once", 1)))
    for cell in sys.argv[1:]:
        for arm in arms(study, found, cell, settings.training):
            task = module.Task(data, arm.hyperparameters, 1, repeats, torch.device("cpu"))
            loop.fit(task, loop.Pack(study, 1, repeats, 1, folder / "checkpoint.pt"), lambda *_: None)
            task.test()
            (folder / "checkpoint.pt").unlink()
print(len(ahead), *(text for key, text in compiled().items() if key not in ahead), sep="\\n")
"""


def test_trainings_compile_nothing_more(tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    studies = {name: small_study(params[name]) for name in params["studies"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | studies))
    assert load_project(tmp_path / "params.yaml").studies.keys() == studies.keys()
    (tmp_path / "probe.py").write_text(PROGRAM)
    done = python_in(tmp_path, "-m", "probe", *CELLS, stages=ROOT)
    assert done.returncode == 0, done.stderr
    count, *more = done.stdout.splitlines()
    assert more == []
    loops = [cell for cell in CELLS.values() if cell.scalars]
    variants = [cell for cell in loops if cell.keras2]
    assert int(count) == 5 * len(loops) + 2 * len(variants) + 2  # those also regress, and run padded batches
