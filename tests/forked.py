"""Commands in processes forked from one that has their imports, which take a fresh interpreter seconds."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

_FORKED = multiprocessing.get_context("forkserver")
# Nothing of this project: a command takes the `stages` of the folder that it runs in.
_FORKED.set_forkserver_preload(
    ["dvc.cli", "dvc.cli.parser", "dvc.repo", "mlflow", "numba", "pandas", "pydantic", "torch"]
)


def run_forked(words, folder, environment=None, stages=None, seconds=900):
    """Run `dvc ...` or `python -m MODULE ...` in a folder; returns the finished process.

    Without an `environment` in this one's, the folder being the project's.

    All that Python reads of the environment as it starts (PYTHONUTF8, say) is as in this process.
    """
    with tempfile.TemporaryDirectory() as temporary:
        out, err = Path(temporary, "out"), Path(temporary, "err")
        words = [os.fspath(word) for word in words]
        environment = environment or os.environ | {"DVC_ROOT": str(folder)}
        arguments = words, str(folder), environment, str(stages or folder), out, err
        process = _FORKED.Process(target=_run, args=arguments)
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(words, seconds, out.read_bytes(), err.read_bytes())
        said = [file.read_text(encoding="utf-8") for file in (out, err)]
        return subprocess.CompletedProcess(words, process.exitcode, *said)


def _run(words, folder, environment, stages, out, err):
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate((out, err), 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    match words:
        case ["dvc", *rest]:
            from dvc.cli import main

            sys.exit(main(rest))
        case ["python", "-m", module, *rest]:
            sys.path[:0] = [stages, folder]
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
