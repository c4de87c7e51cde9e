from itertools import product

import pytest
import torch
from scipy.stats import chisquare

from stages.kinds.language_model.model import LanguageModel
from stages.support.process import InputError
from stages.support.tensors import write_tensors
from stages.trained.language import WordModel, draw

WORDS = ["the", "<eos>", "<unk>", "N", "bank"]
SIZES = {"layers": 2, "dropout": 0.5, "embedding_size": 6, "hidden_size": 6}


def word_model(folder, cell="lstm", tied=True, words=WORDS, ready=None):
    net = LanguageModel(cell, vocabulary_size=len(words), tied=tied, **SIZES)
    net.start(torch.Generator().manual_seed(5))
    with torch.no_grad():  # as far from uniform as a trained net
        net.embedding.weight.mul_(150)
        net.output_bias.normal_(generator=torch.Generator().manual_seed(6))
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    write_tensors(folder / "weights.safetensors", arrays)
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
    hyperparameters = {"cell": cell, "tied": tied, "streams": 1, **SIZES}
    return WordModel(hyperparameters, folder / "weights.safetensors", folder / "vocabulary.txt", ready or {})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def one_pass(model, tokens):
    """Log-probabilities of what follows each token of a text, (tokens, words), by one pass over the whole text."""
    logits, _ = model.model(torch.tensor(tokens)[:, None])
    return torch.log_softmax(logits[:, 0].double(), 1)


def test_drawn_words_have_the_frequencies_of_the_softmax():
    logits = torch.tensor([0.3, -1.2, 2.0, -50.0, 0.9], dtype=torch.float64)
    chance = generator()
    for temperature in (0.5, 1.0, 3.0):
        drawn = torch.tensor([draw(logits, temperature, chance) for _ in range(5000)])
        expected = 5000 * torch.softmax(logits / temperature, 0)
        seen = torch.bincount(drawn, minlength=5).double()
        likely = expected > 1
        assert seen[~likely].sum() <= 10 * expected[~likely].sum()
        expected = expected[likely] * seen[likely].sum() / expected[likely].sum()
        assert chisquare(seen[likely], expected).pvalue > 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_two_words_in_a_row_have_the_joint_distribution_of_the_model(cell, tmp_path):
    model = word_model(tmp_path, cell)
    prompt, number = [1, 4, 0], 700
    chance = generator(1)
    pairs = [tuple(model.sample(prompt, 2, 1.0, chance)) for _ in range(number)]
    expected = {}
    for first, second in product(range(5), repeat=2):
        scores = one_pass(model, [*prompt, first])
        expected[first, second] = number * (scores[-2, first] + scores[-1, second]).exp().item()
    assert sum(expected.values()) == pytest.approx(number)
    common = [pair for pair, count in expected.items() if count >= 5]
    seen = [pairs.count(pair) for pair in common] + [sum(pair not in common for pair in pairs)]
    wanted = [expected[pair] for pair in common]
    assert len(common) >= 8
    assert chisquare(seen, [*wanted, number - sum(wanted)]).pvalue > 1e-3


@pytest.mark.parametrize(("cell", "tied"), [("rnn", True), ("lstm", True), ("gru", False)])
def test_temperature_zero_takes_the_likeliest_word_with_the_state_of_one_pass(cell, tied, tmp_path):
    model = word_model(tmp_path, cell, tied)
    prompt = [1, 0, 4, 3]
    text = [*prompt, *model.sample(prompt, 60, 0.0, generator())]
    scores = one_pass(model, text)
    assert text[len(prompt) :] == scores[len(prompt) - 1 : -1].argmax(1).tolist()
    assert list(model.sample(prompt, 60, 1e-300, generator())) == text[len(prompt) :]


def test_a_seed_decides_every_word(tmp_path):
    model = word_model(tmp_path)
    first, again, other = (list(model.sample([1], 50, 1.0, generator(seed))) for seed in (7, 7, 8))
    assert first == again != other


def test_unknown_can_be_left_out_and_the_others_keep_their_proportions(tmp_path):
    model = word_model(tmp_path)
    unknown = WORDS.index("<unk>")
    expected = one_pass(model, [1])[0].exp()
    assert expected[unknown] > 0.01
    chance = generator(2)
    drawn = torch.tensor([next(model.sample([1], 1, 1.0, chance, without_unknown=True)) for _ in range(1000)])
    seen = torch.bincount(drawn, minlength=5).double()
    assert seen[unknown] == 0
    others = [i for i in range(5) if i != unknown]
    assert chisquare(seen[others], 1000 * expected[others] / expected[others].sum()).pvalue > 1e-3


def test_a_prompt_begins_a_sentence_and_its_unknown_words_are_named(tmp_path):
    model = word_model(tmp_path)
    assert model.encode("") == ([1], [])
    assert model.encode("The BANK\nN <unk>") == ([1, 0, 4, 1, 3, 2], [])
    assert model.encode("zebra the \x00 n zebra") == ([1, 2, 0, 2, 2, 2], ["zebra", "\x00", "n"])
    without = word_model(tmp_path, words=["the", "<eos>", "N", "bank"])
    with pytest.raises(InputError, match="zebra"):
        without.encode("the zebra")


@pytest.mark.parametrize("temperature", [-0.1, float("inf"), float("nan")])
def test_a_temperature_that_means_nothing_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        draw(torch.zeros(3, dtype=torch.float64), temperature, generator())


def test_characters_are_taken_as_they_are_and_a_line_break_is_one(tmp_path):
    model = word_model(tmp_path, words=["<unk>", "\\n", "a", "B", " ", "é"], ready={"unit": "characters"})
    numbers, unknown = model.encode("aB \nbé")
    assert numbers == [1, 2, 3, 4, 1, 0, 5]  # after a line break; there is no b, and B is another
    assert unknown == ["b"]
    assert model.text(numbers[1:]) == "aB \n<unk>é"
