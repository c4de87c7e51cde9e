"""A model of each kind as MLflow's own loader has it back: what it answers is what the model answers."""

import numpy as np
import pandas as pd
import pytest
import torch

from stages.kinds.classification.model import ReviewClassifier
from stages.kinds.language_model.model import LanguageModel
from stages.kinds.series.model import Forecaster
from stages.support.process import InputError
from stages.support.tensors import write_tensors
from stages.tracking.models import save_pyfunc
from stages.trained.find import Trained
from stages.trained.language import WordModel
from stages.trained.reviews import ReviewModel
from stages.trained.series import SeriesModel
from tests.copies import forget_served_code

TEXTS = {"layers": 1, "dropout": 0.0, "embedding_size": 4, "hidden_size": 3}
NETS = {
    "classification": (
        lambda: ReviewClassifier("gru", vocabulary_size=4, classes=3, dropout_between_layers=0.0, **TEXTS),
        TEXTS | {"dropout_between_layers": 0.0},
        {"labels": ["bad", "good", "so so"], "unit": "words", "cut": {"longest": 9, "texts": 0}},
    ),
    "language_model": (
        lambda: LanguageModel("gru", vocabulary_size=4, tied=False, **TEXTS),
        TEXTS | {"tied": False},
        {"unit": "characters"},
    ),
    "series": (
        lambda: Forecaster("gru", 1, 2, 3, 1, engine="padded"),
        {"layers": 1, "hidden_size": 3},
        {"columns": ["y"], "window": 3, "horizon": 2, "mean": [5.0], "deviation": [2.0]},
    ),
}


@pytest.fixture
def made(tmp_path, request):
    """A trained model of a kind, and what MLflow loads of it."""
    from mlflow.pyfunc import load_model

    net, hyperparameters, ready = NETS[request.param]
    network = net()
    network.start(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(2))
    weights, vocabulary = tmp_path / "w.safetensors", tmp_path / "vocabulary.txt"
    write_tensors(weights, {name: value.numpy() for name, value in network.state_dict().items()})
    vocabulary.write_text("<unk>\n<pad>\na\nb\n")
    settings = dict.fromkeys(("key", "repeat", "seed", "corpus", "data_digest"), "1")
    settings["hyperparameters"] = {"cell": "gru", **hyperparameters}
    is_text = request.param != "series"
    trained = Trained("own", request.param, "gru", settings, weights, vocabulary if is_text else None, ready)
    save_pyfunc(trained, tmp_path / "model")
    forget_served_code()
    return trained, load_model(str(tmp_path / "model"))


@pytest.mark.parametrize("made", ["classification"], indirect=True)
def test_labels_have_a_column_each(made):
    trained, served = made
    model = ReviewModel(trained.settings["hyperparameters"], trained.weights, trained.vocabulary, trained.ready)
    answers = served.predict(pd.DataFrame({"text": ["a b", "b b a"]}))
    for (_, row), verdict in zip(answers.iterrows(), model.predict(["a b", "b b a"]), strict=True):
        assert row["label"] == verdict.label
        for label, probability in verdict.probabilities.items():
            assert row[f"probability_{label}"] == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize("made", ["language_model"], indirect=True)
def test_a_prompt_goes_on_as_the_seed_says(made):
    trained, served = made
    model = WordModel(trained.settings["hyperparameters"], trained.weights, trained.vocabulary, trained.ready)
    numbers, _ = model.encode("ab")
    drawn = list(model.sample(numbers, 30, 0.5, torch.Generator().manual_seed(7)))
    asked = pd.DataFrame({"prompt": ["ab"]})
    answers = served.predict(asked, params={"tokens": 30, "temperature": 0.5, "seed": 7})
    assert answers["text"].tolist() == ["ab" + model.text(drawn)]
    with pytest.raises(Exception, match="tokens 0"):
        served.predict(asked, params={"tokens": 0})


@pytest.mark.parametrize("made", ["series"], indirect=True)
def test_the_latest_rows_go_on_for_as_many_steps_as_asked(made):
    trained, served = made
    values = np.array([[4.0], [6.5], [5.0], [7.0]])
    model = SeriesModel(trained.settings["hyperparameters"], trained.weights, trained.ready)
    rows = pd.DataFrame({"y": values[:, 0]})
    assert served.predict(rows)["forecast"].tolist() == pytest.approx(model.forecast(values, 2).tolist(), rel=1e-6)
    answers = served.predict(rows, params={"steps": 5})
    assert answers["step"].tolist() == [1, 2, 3, 4, 5]
    assert answers["forecast"].tolist() == pytest.approx(model.forecast(values, 5).tolist(), rel=1e-6)
    with pytest.raises(Exception, match=r"too few rows \(2\)"):
        served.predict(rows[:2])
    with pytest.raises(InputError):
        model.forecast(values[:2], 1)
