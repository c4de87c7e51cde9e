"""Kill `dvc repro` many times and look at what is left: `python tests/campaign.py [KILLS]`, by hand, some minutes.

Each trial starts `dvc repro -f` of one cell of the tiny pipeline, sends a signal to dvc alone or to its whole group at
a random moment, looks for stages that live on, mends, runs again to the end, and compares every output's bytes with
those of a run that nobody killed. It prints a line a trial and the sums.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import make_clone

TARGET = "evaluate@damped-gru"
OUTPUTS = ("data/ready/damped", "models/damped/gru", "metrics/damped", "dvc.lock")
SECONDS_TO_END = 3.0


def contents(folder: Path) -> dict[str, str]:
    """The digest of each output's bytes."""
    files = [
        p for name in OUTPUTS for p in ((folder / name).rglob("*") if (folder / name).is_dir() else [folder / name])
    ]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}


def stages_at_work(folder: Path) -> list[int]:
    """The processes of stages, trackers aside, that work in the clone."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = process.info["cmdline"] or []
        is_stage = any(word.startswith("stages.") for word in words) and "--follow" not in words
        if is_stage and process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def trial(clone, chance: random.Random, seconds: float) -> Counter[str]:
    """One kill, and what it left."""
    seen: Counter[str] = Counter(kills=1)
    sent, group = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]), chance.random() < 0.3
    group = group or sent == signal.SIGINT  # DVC alone ignores it while a stage runs
    environment = clone.environment(LSTM_VS_GRU_TRACKING="off")
    dvc = subprocess.Popen(
        ["dvc", "repro", "-f", TARGET], cwd=clone.folder, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(chance.uniform(0, seconds))
    if group:
        os.killpg(dvc.pid, sent)
    else:
        dvc.send_signal(sent)
    said = dvc.communicate()[1]
    seen["traceback"] += "Traceback" in said
    deadline = time.monotonic() + SECONDS_TO_END
    while (left := stages_at_work(clone.folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    seen["orphans"] += bool(left)
    for process in left:
        psutil.Process(process).kill()
    mended = clone.run("python", "-m", "stages.mend").stdout.splitlines()
    seen["mended"] += bool(mended)
    again = clone.run("dvc", "repro", TARGET, check=False, LSTM_VS_GRU_TRACKING="off")
    seen["failed again"] += bool(again.returncode)
    print(f"{sent.name:8}{'group' if group else 'dvc':6} stages left {len(left)}; {'; '.join(mended)}", flush=True)
    return seen


def main(kills: int, seed: int = 1) -> None:
    """Run the trials and print their sums."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        clone = make_clone(Path(folder, "clone").resolve())
        start = time.monotonic()
        clone.run("dvc", "repro", TARGET, LSTM_VS_GRU_TRACKING="off")
        seconds = time.monotonic() - start
        clone.run("git", "add", "--all")
        clone.run("git", "commit", "--quiet", "--message=Results")
        whole = contents(clone.folder)
        sums: Counter[str] = Counter()
        for _ in range(kills):
            sums += trial(clone, chance, seconds)
            sums["other bytes"] += contents(clone.folder) != whole
        print(
            ", ".join(
                f"{name} {sums[name]}"
                for name in ("kills", "orphans", "traceback", "mended", "failed again", "other bytes")
            )
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100)
