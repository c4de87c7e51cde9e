"""Commands in processes forked from one that has their imports, which take a fresh interpreter seconds."""

import atexit
import functools
import json
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from multiprocessing.connection import wait
from pathlib import Path

from threadpoolctl import threadpool_limits

_FORKED = multiprocessing.get_context("forkserver")
# Nothing of this project: a command takes the `stages` of the folder that it runs in.
_FORKED.set_forkserver_preload(
    [
        "dvc.cli", "dvc.cli.parser", "dvc.repo", "matplotlib.figure", "mlflow", "numba", "pandas", "pydantic",
        "scipy.linalg", "sklearn.linear_model", "torch",
    ]
)  # fmt: skip

_PLACES_OF_THE_TESTS = ("", str(Path(__file__).parent.parent))  # a command must not find `stages` there by luck

_ASK = """#!{python} -IS
import json, os, socket, sys
name, *words = sys.argv
command = [os.path.basename(name), *words]
if command[0] == "python" and (words[:1] != ["-m"] or "PYTHONIOENCODING" in os.environ):
    os.execv({python!r}, [{python!r}, *words])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"!"], [0, 1, 2])
    server.sendall(json.dumps([command, os.getcwd(), dict(os.environ)]).encode("utf-8", "surrogatepass") + b"\\n")
    sys.exit(server.recv(1)[0])
"""


def run_forked(words, folder, environment=None, stages=None, seconds=900):
    """Run `dvc ...` or `python -m MODULE ...` in a folder; returns the finished process.

    Without an `environment` in this one's, the folder being the project's, with its `stages` or those of another.

    All that Python reads of the environment as it starts (PYTHONUTF8, say) is as in this process.
    """
    with tempfile.TemporaryDirectory() as temporary:
        out, err = Path(temporary, "out"), Path(temporary, "err")
        words = [os.fspath(word) for word in words]
        environment = environment or os.environ | {"PYTHONPATH": str(stages or folder), "DVC_ROOT": str(folder)}
        arguments = words, str(folder), environment, out, err
        process = _FORKED.Process(target=_run_into_files, args=arguments)
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(words, seconds, out.read_bytes(), err.read_bytes())
        said = [file.read_text(encoding="utf-8") for file in (out, err)]
        return subprocess.CompletedProcess(words, process.exitcode, *said)


@functools.cache
def folder_of_commands():
    """A folder for PATH, whose `python` and `dvc` do what these would, in processes that are forked as well.

    So what a command starts in its turn, as DVC does its stages, is quick too.
    """
    folder = Path(tempfile.mkdtemp(prefix="commands-"))
    address = folder / "server"
    for name in ("python", "dvc"):
        (folder / name).write_text(_ASK.format(python=sys.executable, address=str(address)))
        (folder / name).chmod(0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(address))
    listening.listen()
    server = _FORKED.Process(target=_serve, args=(listening,))
    server.start()
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.kill)
    return folder


def _serve(listening):
    """Answer every command, until the process that asked for this one has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    ended = multiprocessing.parent_process().sentinel
    while ended not in wait([listening, ended]):
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _answer(asking)
            os._exit(0)
        asking.close()


def _answer(asking):
    """Run one command; killed, as whoever asks may be, it ends too."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(asking, 1, 3)
    with asking.makefile("rb") as sent:
        words, folder, environment = json.loads(sent.readline().decode("utf-8", "surrogatepass"))
    arguments = words, folder, environment, streams
    command = multiprocessing.get_context("fork").Process(target=_run, args=arguments)
    command.start()
    for stream in streams:
        os.close(stream)
    if asking in wait([asking, command.sentinel]):
        command.kill()
    else:
        command.join()
        asking.send(bytes([command.exitcode % 256]))


def _run_into_files(words, folder, environment, out, err):
    streams = [os.open(os.devnull, os.O_RDONLY), *(os.open(file, os.O_WRONLY | os.O_CREAT) for file in (out, err))]
    _run(words, folder, environment, streams)


def _run(words, folder, environment, streams):
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(i, mode, encoding="utf-8") for i, mode in enumerate("rww"))
    threadpool_limits(1, user_api="blas")  # as a stage asks in its environment, which is too late here
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    match words:
        case ["dvc", *rest]:
            from dvc.cli import main

            sys.exit(main(rest))
        case ["python", "-m", module, *rest]:
            named = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
            sys.path[:] = [folder, *named, *(place for place in sys.path if place not in _PLACES_OF_THE_TESTS)]
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case _:
            raise ValueError(f"neither dvc nor python -m: {words}")
