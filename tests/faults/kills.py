"""Kills at random moments of every stage, and a look at what is left."""

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.conftest import Clone, make_clone
from tests.faults.judge import Seen

OUTPUTS = ("data/settings", "data/raw", "data/ready", "models", "metrics", "plots", "report", "dvc.lock")
STAGES = (
    "check", "fetch@imdb", "fetch@damped", "tokenize@imdb", "tokenize@ptb", "baseline@imdb", "train@imdb-lstm",
    "train@ptb-gru", "train@damped-gru", "train@latch-rnn", "train@fibonacci-lstm", "evaluate@imdb-lstm",
    "evaluate@fibonacci-gru", "headline@imdb", "compare@imdb", "compare@damped", "report",
)  # fmt: skip
SECONDS_TO_END = 3.0


def contents(folder: Path) -> dict[str, str]:
    """The digest of each output's bytes."""
    files = [p for name in OUTPUTS for p in [folder / name, *(folder / name).rglob("*")] if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def stages_at_work(folder: Path) -> list[psutil.Process]:
    """The processes of stages, trackers aside, that work in the clone."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = process.info["cmdline"] or []
        is_stage = any(word.startswith("stages.") for word in words) and "--follow" not in words
        if is_stage and process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


class Kills:
    """A trial is one kill of `dvc repro`, of dvc alone or of its group, and a rerun to the end."""

    def __init__(self, folder: Path) -> None:
        """Run the pipeline of a clone of small studies, which nobody kills."""
        self._clone: Clone = make_clone(folder / "clone")
        self._clone.run("dvc", "repro")
        self._clone.run("git", "add", "--all")
        self._clone.run("git", "commit", "--quiet", "--message=Results")
        self._whole = contents(self._clone.folder)
        self._seconds: dict[str, float] = {}

    def __call__(self, chance: random.Random) -> Seen:
        """Kill one stage."""
        stage = chance.choice(STAGES)
        sent, group = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]), chance.random() < 0.3
        group = group or sent == signal.SIGINT  # DVC alone ignores it while a stage runs
        words = ["dvc", "repro", "--force", "--single-item", stage]
        if stage not in self._seconds:
            start = time.monotonic()
            self._clone.run(*words)
            self._seconds[stage] = time.monotonic() - start
        dvc = subprocess.Popen(
            words, cwd=self._clone.folder, env=self._clone.environment(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(chance.uniform(0, self._seconds[stage]))
        if group:
            os.killpg(dvc.pid, sent)
        else:
            dvc.send_signal(sent)
        wrong = ["a traceback"] if "Traceback" in dvc.communicate()[1] else []
        deadline = time.monotonic() + SECONDS_TO_END
        while (left := stages_at_work(self._clone.folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        wrong += ["a stage that lives on"] if left else []
        for process in left:
            process.kill()
        mended = self._clone.run("python", "-m", "stages.mend").stdout
        again = self._clone.run("dvc", "repro", stage, check=False)
        wrong += ["a rerun that fails"] if again.returncode else []
        wrong += ["other bytes"] if contents(self._clone.folder) != self._whole else []
        return Seen("mend: ", f"{', '.join(wrong)}: {sent.name} in {stage}" if wrong else "", mended)
