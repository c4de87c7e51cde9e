"""What takes long rather than being broken: many epochs, and many examples of each property."""

import csv
import os
import random
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch
import yaml

from stages.own import add_study
from stages.tables.inspect import inspect
from stages.tables.sizes import section
from stages.training.loop import Pack, fit
from tests.copies import ROOT, python_in
from tests.faults.judge import Seen, watched

REVIEWS = 20 * 25_000
MOST_GIGABYTES = 4.0
EPOCHS = 10_000
WARM = 1_000
MOST_BYTES_AN_EPOCH = 4_000
"""The curves that a training keeps, and their text in a checkpoint, are some 1,000 bytes an epoch."""


def epochs(folder: Path) -> Callable[[random.Random], Seen]:
    """A training of many epochs, each with its checkpoint."""
    from tests.training.test_loop import Line

    def trial(chance: random.Random) -> Seen:
        process, seen = psutil.Process(), {}

        def note(rows: list[dict[str, float]], cost: dict[str, float]) -> None:
            if (epoch := int(rows[0]["epoch"])) in (WARM, EPOCHS):
                seen[epoch] = (process.memory_info().rss, process.num_fds(), process.num_threads())

        def use() -> str:
            fit(Line([1.0] * EPOCHS), Pack("toy/0", 1, [0], EPOCHS, folder / "key.safetensors"), note)
            (before, files, threads), (after, *same) = seen[WARM], seen[EPOCHS]
            print(f"from epoch {WARM} to {EPOCHS}: {(after - before) / 1e6:.1f} MB more, {same[0] - files} files more")
            grown = after - before > MOST_BYTES_AN_EPOCH * (EPOCHS - WARM)
            return "memory that grows" if grown else "" if same == [files, threads] else "files or threads left open"

        torch.set_num_threads(1)
        return watched("", use, str)

    return trial


def corpus(folder: Path) -> Callable[[random.Random], Seen]:
    """A person's table of as many words as 20 IMDBs, from its file through one epoch."""
    reviews = folder / "reviews.csv"
    _write_reviews(reviews)
    shutil.copy(ROOT / "params.yaml", folder)
    add_study("large", section(inspect(reviews), Path("reviews.csv"), 1, None) | {"full": {}})
    params = yaml.safe_load((folder / "params.yaml").read_text()) | {"jobs": 1, "studies": ["large"], "cells": ["gru"]}
    training = params["large"]["training"] | {"epochs": 1, "repeats": "0", "headings": ["corrected"]}
    params |= {"cell": "gru", "large": params["large"] | {"training": training | {"tuning": None}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))

    def trial(chance: random.Random) -> Seen:
        def use() -> str:
            for stage in (["check"], ["fetch", "large"], ["tokenize", "large"], ["train", "large", "gru"]):
                code = "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
                code += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
                code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
                done = python_in(folder, "-c", code, f"stages.{stage[0]}", *stage[1:], stages=ROOT)
                if done.returncode:
                    return f"{stage[0]} ended with {done.returncode}: {done.stderr.splitlines()[-1]}"
                peak = int(done.stdout.split()[-1]) / 1e6
                print(f"{stage[0]}: at most {peak:.2f} GB")
                if peak > MOST_GIGABYTES:
                    return f"{peak:.2f} GB in {stage[0]}"
            return ""

        return watched("", use, str)

    return trial


def _write_reviews(path: Path) -> None:
    """Words by Zipf's law, in reviews as long as IMDB's (log-normal, a mean of some 230 words)."""
    chance = np.random.default_rng(0)
    words = np.array([f"w{number}" for number in range(60_000)])
    shares = (1 / np.arange(1, len(words) + 1)).cumsum()
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for block in range(REVIEWS // 1000):
            lengths = chance.lognormal(5.2, 0.65, 1000).astype(int).clip(10, 2500)
            drawn = iter(words[np.searchsorted(shares, chance.random(lengths.sum()) * shares[-1])].tolist())
            for number, length in enumerate(lengths):
                told, label = (("bad", "negative"), ("good", "positive"))[int(chance.integers(2))]
                table.writerow([f"{' '.join(islice(drawn, int(length)))} {told} {block} {number}", label])


def properties(folder: Path) -> Callable[[random.Random], Seen]:
    """The properties of tests/test_properties.py, one a trial, each in turn."""
    shutil.copy(ROOT / "params.yaml", folder)
    os.environ["HYPOTHESIS_PROFILE"] = "long"
    from tests import test_properties

    waiting = iter([value for name, value in vars(test_properties).items() if name.startswith("test_")])

    def trial(chance: random.Random) -> Seen:
        test = next(waiting)

        def use() -> None:
            try:
                test()
            except Exception as error:  # also one that a person would read: no property refuses anything
                raise AssertionError(f"{test.__name__}: {error}") from error

        return watched("", use, lambda _: "")

    return trial
