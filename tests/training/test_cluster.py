"""Grids on Dask: a real scheduler, which lacks this project, and real workers with a folder each, lost and refused."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.copies import ROOT, python_in, small_project
from tests.forked import folder_of_commands

KILLS_ITS_WORKER = """
import os, sys, threading, time
from pathlib import Path

def found():
    return set(Path.cwd().rglob("{key}.safetensors"))

def watch(before):
    while found() <= before:
        time.sleep(0.01)
    os._exit(9)

if "spawn_main" in str(sys.orig_argv):  # no nanny
    threading.Thread(target=watch, args=[found()], daemon=True).start()
"""


class Lab:
    """A scheduler and its workers, processes of their own."""

    def __init__(self, folder, protocol="tcp", **environment):
        self.folder, self._processes = folder, []
        self.environment = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "error", **environment}
        self.environment.pop("PYTHONPATH", None)
        self._file = folder / "scheduler.json"
        words = ["--protocol", protocol, "--port", "0", "--dashboard-address", ":0", "--scheduler-file", self._file]
        self.scheduler = self._start("scheduler", words)
        while not (self._file.exists() and self._file.stat().st_size):
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        self.address = json.loads(self._file.read_text())["address"]

    def worker(self, name, *words, path=ROOT):
        """Start a worker whose `stages` lie in `path`; returns its nanny."""
        where = ["--scheduler-file", self._file, "--local-directory", self.folder / name / "local"]
        extra = {} if path is None else {"PYTHONPATH": str(path)}
        return self._start(name, [*where, "--no-dashboard", *(words or ("--nthreads", "1"))], "worker", **extra)

    def _start(self, name, words, kind="scheduler", **extra):
        (self.folder / name).mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, words)],
                cwd=self.folder / name, env=self.environment | extra, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def close(self):
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def labs(tmp_path):
    with contextlib.ExitStack() as stack:

        def lab(protocol="tcp", **environment):
            folder = tmp_path / f"lab{len(list(tmp_path.glob('lab*')))}"
            folder.mkdir()
            made = Lab(folder, protocol, **environment)
            stack.callback(made.close)
            return made

        yield lab


def home(folder, study, cell="gru", **training):
    """A folder of one small study, with its data, ready to train."""
    return small_project(folder, study, training, cell=cell, cells=[cell], jobs=2)


def copied(folder, name):
    shutil.copytree(folder, folder.parent / name)
    return folder.parent / name


def training(folder, study, cell, lab=None, address=None):
    """The stage, started."""
    own = {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(folder), "LSTM_VS_GRU_TRACKING": "off"}
    if lab or address:
        own |= {"LSTM_VS_GRU_CLUSTER": address or lab.address}
    environment = (lab.environment if lab else os.environ) | own
    words = [folder_of_commands() / "python", "-m", "stages.train", study, cell]
    return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def trained(folder, study, cell, lab=None, address=None):
    """What training said, and the bytes of all that it made."""
    stage = training(folder, study, cell, lab, address)
    said = stage.communicate(timeout=180)[1]
    assert stage.returncode == 0, said
    return said, models(folder)


def models(folder):
    files = [path for path in (folder / "models").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def checkpoint_of(folder, stage, newer_than=0.0):
    """The first checkpoint that home has of a job that is trained elsewhere."""
    while True:
        for path in (folder / "checkpoints").glob("[!.]*.safetensors"):
            if ".before" not in path.name and path.stat().st_mtime > newer_than:
                return path
        assert stage.poll() is None, stage.stderr.read()
        time.sleep(0.05)


def epochs_noted(folder):
    """The epochs of a job as its curve file has them, in order."""
    (path,) = (folder / "tracking").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    return [line["epoch"] for line in lines if "epoch" in line]


def processes_of(nanny):
    return psutil.Process(nanny.pid).children(recursive=True)


def worker_process(nanny):
    """The process that trains, which a nanny starts and starts again."""
    while True:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in processes_of(nanny):
                if "spawn_main" in " ".join(process.cmdline()):
                    return process
        time.sleep(0.05)


def test_workers_train_to_the_same_bytes_with_data_that_home_sends_or_that_they_have(tmp_path, labs):
    homes = {study: home(tmp_path / study, study, cell) for study, cell in (("imdb", "gru"), ("latch", "lstm"))}
    lab = labs()
    lab.worker("bare")
    for folder in homes.values():
        shutil.copytree(folder / "data", lab.folder / "with data" / "data", dirs_exist_ok=True)
    lab.worker("with data")
    for (study, mine), cell in zip(homes.items(), ("gru", "lstm"), strict=True):
        theirs = copied(mine, f"{study} there")
        _, expected = trained(mine, study, cell)
        said, got = trained(theirs, study, cell, lab)
        assert got == expected
        assert said.startswith(f"cluster {lab.address}: ")
        times = [sorted(path.name for path in (folder / "timings").iterdir()) for folder in (mine, theirs)]
        assert times[0] == times[1]
    sent = [path.relative_to(lab.folder).parts[0] for path in lab.folder.rglob("local/**/manifest.json")]
    assert sent == ["bare", "bare"]


def test_a_job_goes_on_from_home_whoever_is_killed_its_worker_home_a_machine_or_the_scheduler(tmp_path, labs):
    mine = home(tmp_path / "home", "imdb", repeats="0", epochs=500, headings=["corrected"])
    theirs, untouched = copied(mine, "theirs"), copied(mine, "untouched")
    _, expected = trained(mine, "imdb", "gru")
    lab = labs()
    nanny = lab.worker("worker")
    stage = training(theirs, "imdb", "gru", lab)
    checkpoint_of(theirs, stage)
    worker_process(nanny).kill()
    lost = time.time()
    checkpoint_of(theirs, stage, newer_than=lost)  # the nanny's next process has gone on
    stage.kill()
    stage.communicate()
    noted = epochs_noted(theirs)
    assert noted == list(range(1, len(noted) + 1)), "epochs were trained twice that home had"

    # Without its checkpoint the job begins again, on another machine: the first one is gone as a whole.
    stage = training(theirs, "imdb", "gru", lab)
    path = checkpoint_of(theirs, stage, newer_than=time.time())
    worker_process(nanny).suspend()  # or it may have trained all before there is another
    worker_process(lab.worker("other"))
    path.unlink()
    path.with_name(f"{path.stem}.before.safetensors").unlink(missing_ok=True)
    os.killpg(nanny.pid, signal.SIGKILL)
    said = stage.communicate(timeout=180)[1]
    assert stage.returncode == 0, said
    assert models(theirs) == expected

    stage = training(untouched, "imdb", "gru", lab)
    checkpoint_of(untouched, stage)
    os.killpg(lab.scheduler.pid, signal.SIGKILL)
    said = stage.communicate(timeout=180)[1]
    assert stage.returncode == 1
    assert said.splitlines()[-1].startswith(f"error: cluster {lab.address}: its scheduler is gone")
    _, got = trained(untouched, "imdb", "gru")
    assert got == expected
    noted = epochs_noted(untouched)
    assert noted == list(range(1, 501)), "epochs were trained twice that home had"


def test_a_job_that_kills_its_workers_is_named_and_the_others_finish(tmp_path, labs):
    mine = home(tmp_path / "home", "imdb", headings=["corrected"], repeats="0-2")
    theirs = copied(mine, "theirs")
    _, expected = trained(mine, "imdb", "gru")
    poisoned = next(path.stem for path in (mine / "timings").iterdir() if '"imdb/gru/corrected/1"' in path.read_text())
    deadly = tmp_path / "deadly"
    deadly.mkdir()
    (deadly / "sitecustomize.py").write_text(KILLS_ITS_WORKER.format(key=poisoned))
    lab = labs(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
    for name in ("first", "second"):
        lab.worker(name, path=f"{deadly}{os.pathsep}{ROOT}")
    stage = training(theirs, "imdb", "gru", lab)
    said = stage.communicate(timeout=180)[1]
    assert stage.returncode == 1
    assert said.splitlines()[-1].startswith("error: imdb/gru/corrected/1: 2 workers ended while they trained it")
    assert len(list((theirs / "timings").iterdir())) == 2
    _, got = trained(theirs, "imdb", "gru")
    assert got == expected


def test_large_checkpoints_travel_encrypted(tmp_path, labs):
    mine = home(
        tmp_path / "home",
        "ptb",
        models=["better"],
        repeats="0",
        better={"size": 650, "epochs": 1},
        headings=["corrected"],
    )
    theirs = copied(mine, "theirs")
    _, expected = trained(mine, "ptb", "gru")
    assert max(map(len, expected.values())) > 20e6  # a checkpoint has the weights twice
    certificate(tmp_path)
    files = {"CERT": "tls.pem", "KEY": "tls.key"}
    own = {f"{who}__{what}": name for who in ("CLIENT", "SCHEDULER", "WORKER") for what, name in files.items()}
    settings = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(tmp_path / file) for name, file in own.items()}
    settings |= {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(tmp_path / "tls.pem")}
    lab = labs("tls", DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION="true", **settings)
    assert lab.address.startswith("tls://")
    lab.worker("worker")
    _, got = trained(theirs, "ptb", "gru", lab)
    assert got == expected


def certificate(folder):
    """A key and the certificate that it signs for itself."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    signed = made.add_extension(x509.BasicConstraints(True, None), critical=True).sign(key, hashes.SHA256())
    (folder / "tls.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "tls.key").write_bytes(private)


def test_what_could_give_other_results_is_refused_in_a_line(tmp_path, labs):
    mine = home(tmp_path / "home", "imdb")
    changed = tmp_path / "changed"
    shutil.copytree(ROOT / "stages", changed / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    cell = changed / "stages/nn/cells/gru.py"
    cell.write_text(cell.read_text() + "\nANOTHER = 1\n")
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    lab = labs()
    for words, path, expected in [
        (("--nthreads", "2"), ROOT, "has 2 threads"),
        (("--nthreads", "1"), changed, "its results could be others"),
        (("--nthreads", "1"), nobody, "a worker lacks stages: install"),
    ]:
        nanny = lab.worker("worker", *words, path=path)
        stage = training(mine, "imdb", "gru", lab)
        said = stage.communicate(timeout=120)[1]
        assert stage.returncode == 2, said
        assert said.count("error: ") == 1
        assert expected in said.splitlines()[-1]
        os.killpg(nanny.pid, signal.SIGKILL)
    assert not models(mine)


def test_what_ended_a_training_is_said_though_its_scheduler_hangs_or_is_gone(labs):
    lab = labs()
    lab.worker("worker")
    environment = lab.environment | {"PYTHONPATH": str(ROOT)}
    for how in (signal.SIGSTOP, signal.SIGKILL):
        ended = f"""
import os
from stages.support.process import StageError
from stages.training.cluster import connected
with connected("{lab.address}", 1):
    os.killpg({lab.scheduler.pid}, {int(how)})
    raise StageError("what ended it")
"""
        done = subprocess.run(
            [sys.executable, "-c", ended], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.stderr.splitlines()[-1] == "stages.support.process.StageError: what ended it"
        os.killpg(lab.scheduler.pid, signal.SIGCONT)


def test_where_no_scheduler_is_a_line_says_so(tmp_path):
    mine = home(tmp_path / "home", "imdb")
    addresses = ["tcp://127.0.0.1:9", "tcp://no.such.host.invalid:8786", "here", "tcp://host"]
    for address, stage in [(address, training(mine, "imdb", "gru", address=address)) for address in addresses]:
        said = stage.communicate(timeout=100)[1]
        assert (stage.returncode, said.count("\n")) == (2, 1), said
        assert address in said


def test_one_training_is_shared_by_processes_or_a_grid_by_workers_but_not_both(tmp_path):
    mine = home(tmp_path / "home", "imdb")
    file = mine / "params.yaml"
    file.write_text(file.read_text().replace("processes: 1", "processes: 2"))
    assert python_in(mine, "-m", "stages.check", stages=ROOT).returncode == 0
    stage = training(mine, "imdb", "gru", address="local")
    said = stage.communicate(timeout=60)[1]
    assert (stage.returncode, said.count("\n")) == (2, 1), said
