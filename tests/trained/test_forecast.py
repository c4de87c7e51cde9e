"""A trained series model: forecasts in the series' unit, closed on themselves, and the dates that follow."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from stages import forecast
from stages.kinds.series import Corpus
from stages.kinds.series.model import Forecaster
from stages.own import add_study
from stages.support.process import InputError
from stages.support.tensors import write_tensors
from stages.tables.dates import DateForm, read_date
from stages.tables.raw import write_series
from stages.trained.find import Trained
from stages.trained.series import SeriesModel, later
from tests.copies import ROOT

MEAN, DEVIATION = 40.0, 8.0


def model(folder, columns=("y",), horizon=2, window=4):
    net = Forecaster("gru", len(columns), horizon, 5, 1, engine="padded")
    net.start(torch.Generator().manual_seed(2))
    with torch.no_grad():
        net.output.weight.normal_(generator=torch.Generator().manual_seed(3))
    write_tensors(folder / "w.safetensors", {name: value.numpy() for name, value in net.state_dict().items()})
    scale = {"mean": [MEAN] * len(columns), "deviation": [DEVIATION] * len(columns)}
    ready = {"columns": list(columns), "window": window, "horizon": horizon, **scale}
    hyperparameters = {"cell": "gru", "hidden_size": 5, "layers": 1, "epochs": 3}
    return SeriesModel(hyperparameters, folder / "w.safetensors", ready), net.eval()


@torch.no_grad()
def test_it_goes_on_from_its_own_forecasts_in_the_series_unit(tmp_path):
    mine, net = model(tmp_path)
    values = np.random.default_rng(0).normal(MEAN, DEVIATION, (20, 1))
    known = list(values[:, 0])
    for _ in range(3):  # two steps at a time
        window = torch.tensor([(value - MEAN) / DEVIATION for value in known[-4:]])[:, None, None].float()
        known += [value * DEVIATION + MEAN for value in net(window)[0].tolist()]
    assert mine.forecast(values, 5) == pytest.approx(known[20:25], rel=1e-5)
    assert len(set(np.round(known[20:], 3))) == 6


def test_the_command_goes_on_from_a_newer_file(tmp_path, monkeypatch, capsys):
    mine, _ = model(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(4).normal(MEAN, DEVIATION, 12).round(2)
    rows = [f"x,{datetime(2024, 5, 1) + timedelta(days=i):%d.%m.%Y},{value}" for i, value in enumerate(values)]
    Path("newer.csv").write_text("\n".join(["shop,day,y", *reversed(rows)]))
    corpus = {"source": "file", "path": "data/own/older.csv", "value": "y", "inputs": []}
    tokens = {"window": 4, "horizon": 2, "validation_fraction": 0.1, "test_fraction": 0.1}
    training = {"repeats": "0", "epochs": 2, "batch_size": 4, "learning_rate": 0.001, "hidden_size": 5}
    corpus["value"] = "another"  # edited since: what it was trained on counts
    add_study("older", {"kind": "series", "corpus": corpus, "tokens": tokens, "training": training})
    settings = {"repeat": 0, "hyperparameters": {"cell": "gru", "hidden_size": 5, "layers": 1}}
    ready = {
        "columns": ["y"],
        "window": 4,
        "horizon": 2,
        "mean": [MEAN],
        "deviation": [DEVIATION],
        "corpus": "older.csv",
    }
    trained = Trained("older", "series", "gru", settings, tmp_path / "w.safetensors", None, ready)
    monkeypatch.setattr(forecast, "find_arm", lambda *_: [trained])
    forecast.main("older", "--cell", "gru", "--file", "newer.csv", "--steps", "3", "--json")
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["forecast"] for one in said] == pytest.approx(mine.forecast(values[:, None], 3), rel=1e-6)
    assert [one["date"] for one in said] == ["2024-05-13", "2024-05-14", "2024-05-15"]

    days = [f"{datetime(2024, 5, 1) + timedelta(days=i):%Y-%m-%d}" for i in range(30)]
    shops = [f"{shop},{day},{i + 1000 * n}" for i, day in enumerate(days) for n, shop in enumerate("ab")]
    Path("two.csv").write_text("\n".join(["shop,day,y", *shops]))
    with pytest.raises(InputError, match="several series"):
        forecast.main("older", "--cell", "gru", "--file", "two.csv")
    odd = [f"{day},{-999 if i in (7, 11) else 20 + i % 5}" for i, day in enumerate(days)]
    Path("odd.csv").write_text("\n".join(["day,y", *odd]))
    forecast.main("older", "--cell", "gru", "--file", "odd.csv")
    assert "-999" in capsys.readouterr().err


def test_with_other_inputs_it_stops_at_the_horizon_and_too_few_rows_are_refused(tmp_path):
    mine, _ = model(tmp_path, columns=("y", "x"))
    values = np.random.default_rng(0).normal(MEAN, DEVIATION, (4, 2))
    assert mine.forecast(values, 2).shape == (2,)
    with pytest.raises(InputError, match="steps 3"):
        mine.forecast(values, 3)
    with pytest.raises(InputError, match=r"too few rows \(3\)"):
        mine.forecast(values[:3], 1)


def seconds(*dates):
    return np.array([read_date(date, DateForm("ymd")) for date in dates])


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(days=7), timedelta(minutes=15)])
def test_equal_steps_go_on(step):
    dates = [datetime(2023, 12, 20) + step * i for i in range(30)]
    known = seconds(*(date.isoformat(sep=" ") for date in dates[:20]))
    found = later(known, 10)
    assert [datetime.fromisoformat(date) for date in found] == dates[20:]


_DAYS = [datetime(2020, 1, 1) + timedelta(days=i) for i in range(63)]
_HOURS = [datetime(2020, 2, 27) + timedelta(hours=i) for i in range(63)]
_MONTHS = [datetime(2018 + i // 12, i % 12 + 1, 1) for i in range(63)]
_QUARTERS = [datetime(2005 + i // 4, 3 * (i % 4) + 1, 1) for i in range(63)]
_YEARS = [datetime(1949 + i, 1, 1) for i in range(63)]


@pytest.mark.parametrize(
    ("dates", "header", "written"),
    [
        (_DAYS, "date", "{0:%d.%m.%y}"),
        (_DAYS, "date", "{0:%y.%m.%d}"),
        (_DAYS, "date", "{0:%Y-%m-%d}T00:00:00+09:00"),
        (_DAYS, "date", "{0:%d/%m/%y}"),
        (_HOURS, "date", "{0:%m/%d/%Y %I:%M %p}"),
        (_HOURS, "date", "{0:%Y-%m-%dT%H:%M:%S}-05:00"),
        (_HOURS, "date,hour", "{0:%Y-%m-%d},{0.hour}"),
        (_MONTHS, "month", "{0:%b-%y}"),
        (_MONTHS, "date", "{0:%m/%d/%Y}"),
        (_MONTHS, "date", "{0:%d/%m/%Y}"),
        (_QUARTERS, "year,quarter", "{0.year},Q{1}"),
        (_YEARS, "year", "{0.year}"),
    ],
)
def test_dates_however_written_go_on(tmp_path, dates, header, written):
    lines = [f"{written.format(date, (date.month + 2) // 3)},{i % 7}" for i, date in enumerate(dates[:60])]
    (tmp_path / "mine.csv").write_text("\n".join([f"{header},value", *lines]))
    write_series(Corpus(source="file", path=str(tmp_path / "mine.csv"), value="value"), "value", (), tmp_path / "raw")
    found = later(np.load(tmp_path / "raw" / "times.npy"), 3)
    assert [datetime.fromisoformat(date) for date in found] == dates[60:]


def test_months_and_quarters_go_on_over_the_year_and_anything_else_does_not():
    assert later(seconds("1960-10-01", "1960-11-01", "1960-12-01"), 3) == ["1961-01-01", "1961-02-01", "1961-03-01"]
    assert later(seconds("2020-04-01", "2020-07-01", "2020-10-01"), 2) == ["2021-01-01", "2021-04-01"]
    assert later(seconds("2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"), 2) is None  # a weekend
    assert later(seconds("2020-01-31", "2020-02-29", "2020-03-31"), 2) is None
    assert later(seconds("2020-01-01", "2020-01-02"), 2) is None
    years = seconds("2016-01-01", "2017-01-01", "2018-01-01")
    assert later(years, 7981)[-1] == "9999-01-01"
    assert later(years, 7982) is None
    assert later(np.array([0.0, 5e10, 1e11]), 2) is not None
    assert later(np.array([0.0, 5e10, 1e11]), 9) is None
    assert later(seconds("2020-01-01", "2020-01-01", "2020-01-01"), 2) is None
