"""A series cut into windows for training, validation and test, and the values that a closed loop starts from."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stages.support.files import digest, file_digest, read_json, seal
from stages.support.process import InputError
from stages.support.sections import Section


class Series(Section):
    """provenance.json of a series: how it is to be cut.

    `split`: by `values`, so that no value is in two parts, or by `windows`, whose last ones validate and which may
    share values. `closed_loop_steps` None: to the end of the series.
    """

    corpus: str = "sequences"
    split: Literal["values", "windows"]
    drop_last_window: bool = False
    closed_loop_start: int | Literal["validation"]
    closed_loop_steps: int | None = None


def write_windows(raw: Path, ready: Path, window: int, validation_fraction: float) -> None:
    """Write PART.windows.npy, (windows, 1 + window), closed_loop.npy, (window + steps,), and manifest.json.

    A window's inputs are all but its last value, its targets all but its first. The last `validation_fraction` of
    series.npy validates, the rest trains; test.npy is the test part.

    Raises:
        InputError: a part has no window, or the closed loop no true value to compare with.
    """
    about = Series.model_validate(read_json(raw / "provenance.json"))
    series, test = np.load(raw / "series.npy"), np.load(raw / "test.npy")
    shared = window if about.split == "windows" else 0
    train = len(series) - shared
    train -= round(train * validation_fraction)
    fewest = 1 + window + about.drop_last_window
    parts = {"train": series[: train + shared], "validation": series[train:], "test": test}
    ready.mkdir(parents=True)
    for part, values in parts.items():
        if len(values) < fewest:
            raise InputError(
                f"{part} has {len(values)} values; window {window} needs at least {fewest} in every part "
                f"(validation_fraction is {validation_fraction})"
            )
        views = sliding_window_view(values, 1 + window)
        np.save(ready / f"{part}.windows.npy", views[:-1] if about.drop_last_window else views)
    start = train if about.closed_loop_start == "validation" else about.closed_loop_start
    if about.closed_loop_steps is None:
        loop = series[start:]
    else:
        loop = np.concatenate([series, test])[start : start + window + about.closed_loop_steps]
    if len(loop) < window + (about.closed_loop_steps or 1):
        raise InputError(
            f"the closed loop has {len(loop)} values from number {start} on; a window of {window} and "
            f"{about.closed_loop_steps or 1} to predict are needed"
        )
    np.save(ready / "closed_loop.npy", loop)
    arrays = {path.name: file_digest(path) for path in sorted(ready.iterdir())}
    seal(ready, {"corpus": about.corpus, "digest": digest(arrays), "window": window})


def zero_row(ready: Path) -> dict[str, Any]:
    """What predicting zero for ever scores in the closed loop."""
    loop = np.load(ready / "closed_loop.npy")[read_json(ready / "manifest.json")["window"] :].astype(np.float64)
    return {"name": "predict zero", "test": {"closed_loop_rmse": round(float(np.sqrt(np.square(loop).mean())), 6)}}
