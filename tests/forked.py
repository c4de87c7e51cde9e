"""Commands in processes forked from one that has their imports, which take a fresh interpreter seconds."""

import atexit
import functools
import json
import multiprocessing
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
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
    """
    environment = environment or os.environ | {"PYTHONPATH": str(stages or folder), "DVC_ROOT": str(folder)}
    return subprocess.run(
        [folder_of_commands() / words[0], *words[1:]], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", timeout=seconds,
    )  # fmt: skip


@functools.cache
def folder_of_commands():
    """A folder for PATH, whose `python` and `dvc` do what these would, in processes that are forked.

    What a command starts in its turn, as DVC does its stages and a stage a module with its own Python, is quick too.
    All that Python reads of the environment as it starts (PYTHONUTF8, say) is as in this process.
    """
    folder = Path(tempfile.mkdtemp(prefix="commands-"))
    address = folder / "server"
    for name in ("python", "dvc"):
        (folder / name).write_text(_ASK.format(python=sys.executable, address=str(address)))
        (folder / name).chmod(0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(address))
    listening.listen()
    server = _FORKED.Process(target=_serve, args=(listening, str(folder / "python")))
    server.start()
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.kill)
    return folder


def _serve(listening, python):
    """Answer every command, until the process that asked for this one has ended; one whose asker is killed ends too."""
    sys.executable = python
    ended, running = multiprocessing.parent_process().sentinel, {}
    while ended not in (ready := wait([listening, ended, *running, *(one.sentinel for one in running.values())])):
        if listening in ready:
            asking, _ = listening.accept()
            running[asking] = _start(asking)
        for asking, command in list(running.items()):
            if asking in ready:  # nobody waits for it any more
                command.kill()
            if asking in ready or command.sentinel in ready:
                command.join()
                with suppress(BrokenPipeError):
                    asking.send(bytes([command.exitcode % 256]))
                running.pop(asking).close()
                asking.close()


def _start(asking):
    """The process of one command."""
    _, streams, _, _ = socket.recv_fds(asking, 1, 3)
    with asking.makefile("rb") as sent:
        words, folder, environment = json.loads(sent.readline().decode("utf-8", "surrogatepass"))
    command = multiprocessing.get_context("fork").Process(target=_run, args=(words, folder, environment, streams))
    command.start()
    for stream in streams:
        os.close(stream)
    return command


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
