"""How a command starts and stops: its protection, and the one line for what goes wrong. Each test injects a fault."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.forked import run_forked

ROOT = Path(__file__).parents[2]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "NUMBA_"))}
    return kept | changes


@pytest.fixture
def slow_torch(tmp_path):
    """A folder whose `torch` says that it is imported and never ends: a kill then surely hits the imports."""
    (tmp_path / "torch.py").write_text("import os, time\nos.write(1, b'%d\\n' % os.getpid())\ntime.sleep(600)\n")
    return str(tmp_path)


TRAIN = [sys.executable, "-m", "stages.train", "damped", "gru"]
AS_DVC = f"import subprocess\nsubprocess.run({TRAIN!r})\n"


@pytest.mark.skipif(not shutil.which("unshare"), reason="no program to make a process namespace")
def test_a_process_that_shares_a_training_lives_where_its_launcher_is_process_1_as_in_a_container():
    code = "import os; from stages.support.process import protect; protect(); print(os.getppid())"
    launcher = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    container = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*container, sys.executable, "-c", launcher], cwd=ROOT, capture_output=True, text=True,
        env=environment(TORCHELASTIC_RUN_ID="x"),
    )  # fmt: skip
    if done.stderr.startswith("unshare:"):
        pytest.skip("process namespaces are not permitted here")
    assert done.stdout == "1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="children end with their parent on Linux only")
def test_a_stage_ends_with_dvc_while_it_still_imports(slow_torch):
    dvc = subprocess.Popen(
        [sys.executable, "-c", AS_DVC], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env=environment(DVC_STAGE="train@damped-gru", PYTHONPATH=slow_torch),
    )  # fmt: skip
    stage = psutil.Process(int(dvc.stdout.readline()))
    dvc.kill()
    dvc.wait()
    assert psutil.wait_procs([stage], timeout=20)[1] == []


@pytest.mark.skipif(sys.platform != "linux", reason="children end with their parent on Linux only")
def test_what_a_person_detached_outlives_its_parent(slow_torch):
    shell = subprocess.Popen(
        [sys.executable, "-c", AS_DVC], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env=environment(PYTHONPATH=slow_torch),
    )  # fmt: skip
    command = psutil.Process(int(shell.stdout.readline()))
    shell.kill()
    shell.wait()
    try:
        assert psutil.wait_procs([command], timeout=0.3)[0] == []
    finally:
        command.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="children end with their parent on Linux only")
def test_who_asks_too_late_ends_at_once():
    code = "import os\nfrom stages.support.process import die_with_parent\ndie_with_parent(os.getppid() + 1)\nprint(1)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_ctrl_c_while_a_command_imports_says_nothing(slow_torch):
    command = subprocess.Popen(
        TRAIN,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=slow_torch),
    )
    command.stdout.readline()
    command.send_signal(signal.SIGINT)
    assert command.communicate(timeout=20)[1] == ""
    assert command.returncode == -signal.SIGINT


def run(code, *words, shell="", limit="", cwd=ROOT):
    """`code` as the `main` of a command; returns its exit code and what it said on standard error."""
    path = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    program = f"{path}from stages.support.process import run_stage\n{code}\nrun_stage(main)"
    command = [sys.executable, "-c", program, *words]
    if shell:
        command = ["bash", "-c", f'set -o pipefail; {limit}"$@" {shell}', "bash", *command]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment(), timeout=60)
    return done.returncode, done.stderr


def test_a_command_computes_on_one_thread_whatever_its_user_s_shell_says_until_more_are_asked_for():
    program = """
import json
from stages.support.process import protect
protect()
import scipy.linalg
from threadpoolctl import threadpool_info
before = [pool["num_threads"] for pool in threadpool_info()]
from stages.training.device import prepare
prepare("cpu", 2)
print(json.dumps([before, [pool["num_threads"] for pool in threadpool_info()]]))
"""
    asked = environment(OPENBLAS_NUM_THREADS="3", PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", program], env=asked, capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert set(before) == {1}
    assert set(after) == {2}


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("def main(): open('absent/file.json')", 2, ["absent/file.json", "No such file"]),
        ("def main(): open('metrics/absent/gru.json')", 2, ["metrics/absent/gru.json", "`dvc repro`"]),
        ("def main(): open('stages', 'w')", 2, ["stages", "directory"]),
        (f"def main(): raise OSError({errno.EIO}, 'Input/output error', 'disk')", 1, ["disk", "Input/output error"]),
        ("def main(): raise MemoryError('17 GiB')", 1, ["memory", "17 GiB"]),
        ("def main(): {}['nosuch']", 1, ["KeyError", "nosuch", "--traceback"]),
        ("def main(): raise ValueError('a\\nb' * 10_000)", 1, ["ValueError", "a b"]),
        ("def main(): print('é' * 99_999); raise ConnectionResetError('gone')", 1, ["gone"]),
    ],
)
def test_a_failure_is_one_line(code, exit_code, words):
    returned, said = run(code)
    assert returned == exit_code
    assert said.count("\n") == 1
    assert len(said) < 1100
    assert all(word in said for word in words)


def test_developers_get_the_traceback():
    returned, said = run("def main(word): {}[word]", "--traceback", "nosuch")
    assert returned == 1
    assert "Traceback" in said
    assert "in main" in said


@pytest.mark.parametrize(
    ("stage", "words", "takes"),
    [
        ("train", [], "STUDY CELL"),
        ("headline", ["imdb", "gru", "lstm"], "STUDY CELL"),
        ("show", ["imdb", "ptb"], "[STUDY]"),
    ],
)
def test_wrong_words_get_those_that_are_taken(stage, words, takes):
    done = run_forked(["python", "-m", f"stages.{stage}", *words], ROOT)
    assert done.returncode == 2
    assert done.stderr == f"error: python -m stages.{stage} takes {takes}; given: {' '.join(words) or 'none'}\n"


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py")))
def test_every_command_has_a_help_that_says_how_it_is_called(stage):
    done = run_forked(["python", "-m", f"stages.{stage}", "--help"], ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python -m stages.{stage}" in done.stdout


@pytest.mark.parametrize(
    ("stage", "words", "named"),
    [
        ("train", ["nosuch", "gru"], ["study 'nosuch'", "imdb, ptb"]),
        ("headline", ["imdb", "elman"], ["cell 'elman'", "rnn, lstm, gru"]),
        ("headline", ["", "gru"], ["study ''", "imdb, ptb"]),
        ("headline", ["imdb", "../gru"], ["cell '../gru'", "rnn, lstm, gru"]),
        ("predict", ["ptb", "a text"], ["study", "'ptb'", "imdb"]),
        ("forecast", ["imdb"], ["no study is a series", "make own"]),
        ("compare", ["a\nb"], ["study", "imdb, ptb"]),
        ("fetch", ["../x"], ["study", "'../x'", "imdb, ptb"]),
    ],
)
def test_a_study_or_a_cell_that_is_none_gets_those_that_there_are(stage, words, named):
    done = run_forked(["python", "-m", f"stages.{stage}", *words], ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert all(word in done.stderr for word in named)


PRINTS = "def main():\n    for n in range(100_000): print(n)"


@pytest.mark.parametrize(
    ("shell", "exit_code", "words"),
    [
        ("| head -n 1", 141, []),
        ("> FULL", 2, ["standard output", "make room"]),
        (">&-", 0, []),
        ("< /dev/null 2>&- >&- <&-", 0, []),
    ],
)
def test_output_that_nobody_takes_is_no_fault_of_the_command(tmp_path, shell, exit_code, words):
    # A limit on the size of files is the full disk that a test without privileges can have.
    returned, said = run(PRINTS, shell=shell.replace("FULL", str(tmp_path / "full")), limit="ulimit -f 100; ")
    assert returned == exit_code
    assert said.count("\n") == (1 if words else 0)
    assert all(word in said for word in words)


def test_no_encoding_of_a_terminal_stops_what_is_printed():
    done = subprocess.run(
        [sys.executable, "-m", "stages.show", "\N{SNOWMAN}"],
        cwd=ROOT, capture_output=True, env=environment(PYTHONIOENCODING="ascii:strict"),
    )  # fmt: skip
    assert done.returncode == 2
    assert b"\\u2603" in done.stderr


def test_settings_of_the_users_for_numba_do_not_reach_a_stage():
    code = "import sys; sys.argv = ['-m']; import stages, os; print([n for n in os.environ if n[:6] == 'NUMBA_'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env=environment(NUMBA_DISABLE_JIT="1", NUMBA_CACHE_DIR="here"),
    )  # fmt: skip
    assert done.stdout == "['NUMBA_CACHE_DIR']\n"
