import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.kinds.classification.model import ReviewClassifier
from stages.kinds.language_model.model import LanguageModel
from stages.nn.cells import CELLS
from stages.nn.parameters import parameter_count


def classifier(cell="lstm", dropout=0.0, seed=0, engine="padded", hidden=8):
    model = ReviewClassifier(cell, 50, 12, hidden, 2, dropout, dropout, engine=engine)
    model.start(torch.Generator().manual_seed(seed))
    return model


def language_model(cell="lstm", tied=False, layers=1, dropout=0.0, seed=0, size=10, vocabulary=40):
    model = LanguageModel(cell, vocabulary, size, size, layers, dropout, tied)
    model.start(torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("cell", CELLS)
def test_a_reviews_logit_depends_on_that_review_alone(cell):
    model = classifier(cell).eval()
    reviews = [torch.randint(2, 50, (length,)) for length in (6, 1, 11)]
    alone = [model(review.unsqueeze(1), torch.tensor([len(review)])) for review in reviews]
    lengths = torch.tensor([6, 1, 11])
    together = model(torch.nn.utils.rnn.pad_sequence(reviews, padding_value=1), lengths)
    torch.testing.assert_close(together, torch.cat(alone))
    padded_more = torch.nn.utils.rnn.pad_sequence([*reviews, torch.ones(15, dtype=torch.long)], padding_value=1)
    torch.testing.assert_close(model(padded_more[:, :3], lengths), torch.cat(alone))


def test_a_training_step_leaves_the_padding_embedding_at_zero():
    model = classifier()
    model(torch.tensor([[3, 0], [4, 1]]), torch.tensor([2, 1])).sum().backward()
    assert model.embedding.weight.grad[[0, 3, 4]].abs().sum(1).min() > 0
    assert model.embedding.weight.grad[1].abs().max() == 0


def test_dropout_acts_around_and_between_layers_in_training_only():
    tokens, lengths = torch.randint(2, 50, (9, 4)), torch.tensor([9, 3, 5, 1])
    model = classifier(dropout=0.5)
    assert not torch.equal(model(tokens, lengths), model(tokens, lengths))
    model.eval()
    assert torch.equal(model(tokens, lengths), model(tokens, lengths))
    torch.testing.assert_close(model(tokens, lengths), classifier(dropout=0.0)(tokens, lengths))


@pytest.mark.parametrize("tied", [False, True])
def test_the_language_model_carries_its_state(tied):
    model = language_model(tied=tied, layers=2, dropout=0.5).eval()
    tokens = torch.randint(0, 40, (12, 3))
    whole, _ = model(tokens)
    first, state = model(tokens[:5])
    second, _ = model(tokens[5:], state)
    assert whole.shape == (12, 3, 40)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_tied_weights_are_one_parameter_with_the_gradient_of_both_uses(tmp_path):
    model = language_model(tied=True)
    logits, _ = model(torch.tensor([[2], [3]]))
    logits.logsumexp(-1).sum().backward()
    assert (model.embedding.weight.grad.abs().sum(1) > 0).all()  # every word is an output; two are also inputs
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = language_model(tied=True, seed=1)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    torch.testing.assert_close(other(torch.tensor([[2], [3]]))[0], logits)
    with pytest.raises(ValueError, match="embedding_size 3 = hidden_size 4"):
        LanguageModel("lstm", 10, 3, 4, 1, 0.0, tied=True)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_parameter_counts(cell, gates):
    review_model = ReviewClassifier(cell, 25_002, 100, 32, 2, 0.5, 0.5)
    first, second = (2 * gates * 32 * (inputs + 32 + 2) for inputs in (100, 64))
    assert parameter_count(review_model) == 25_002 * 100 + first + second + 65
    layer = gates * 650 * (650 + 650 + 2)
    assert parameter_count(LanguageModel(cell, 10_000, 650, 650, 2, 0.5, tied=True)) == 6_510_000 + 2 * layer
    basic = LanguageModel(cell, 10_000, 100, 100, 1, 0.0, tied=False)
    assert parameter_count(basic) == 2_010_000 + gates * 100 * 202


def test_initial_weights_of_the_review_classifier():
    model = classifier(hidden=64, seed=5)
    assert (model.embedding.weight[:2] == 0).all()
    assert model.embedding.weight[2:].std().item() == pytest.approx(1, abs=0.1)
    for name, parameter in model.recurrent.named_parameters():
        assert parameter.abs().max() <= 1 / 8, name
        assert parameter.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.1), name
    assert model.output.weight.abs().max() <= 128**-0.5
    assert model.output.weight.abs().max() > 0.9 * 128**-0.5


def test_initial_weights_of_the_language_models():
    model = language_model(layers=2, size=60, vocabulary=500)
    assert model.embedding.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.output_weight.std().item() == pytest.approx(60**-0.5, rel=0.05)
    for name, parameter in model.recurrent.named_parameters():
        expected = 0 if "bias" in name else 60**-0.5
        assert parameter.std().item() == pytest.approx(expected, rel=0.05), name
    assert (model.output_bias == 0).all()
    tied = language_model(tied=True, size=60, vocabulary=500)
    assert tied.embedding.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("make", [classifier, language_model])
def test_the_generator_alone_decides_the_initial_weights(make):
    torch.manual_seed(1)
    one = make(seed=3).state_dict()
    torch.manual_seed(2)
    same, other = make(seed=3).state_dict(), make(seed=4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if name != "output_bias" and "bias" not in name)
