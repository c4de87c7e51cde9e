import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from stages.kinds.classification.model import ReviewClassifier
from stages.support.process import InputError
from stages.support.tensors import write_tensors
from stages.text.tokens.basic_english import basic_english
from stages.trained import reviews
from stages.trained.reviews import ReviewModel

WORDS = ["<unk>", "<pad>", ".", "the", "film", "is", "good", "bad", "not", "'"]
SIZES = {"embedding_size": 5, "hidden_size": 3, "layers": 2, "dropout": 0.5, "dropout_between_layers": 0.5}
TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def model_files(folder, cell, words=WORDS):
    """A net of random weights and its vocabulary, as training leaves them."""
    net = ReviewClassifier(cell, vocabulary_size=len(words), **SIZES)
    net.start(torch.Generator().manual_seed(3))
    net.embedding.weight.data[:2] = torch.tensor([[0.3], [9.0]])  # <unk> as trained; <pad> must never count
    with torch.no_grad():  # half of the texts on each side
        net.output.weight *= 20
        net.output.bias -= net.eval()(torch.tensor([[3], [4], [5]]), torch.tensor([3]))
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    write_tensors(folder / "weights.safetensors", arrays)
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
    return {"cell": cell, "epochs": 1, **SIZES}, folder / "weights.safetensors", folder / "vocabulary.txt"


def by_torch(folder, cell, text):
    """The probability by torch's own bidirectional layers, one text at a time, unpadded."""
    weights = load_file(folder / "weights.safetensors")
    layer = TORCH[cell](5, 3, 2, bidirectional=True)
    layer.load_state_dict({k.removeprefix("recurrent."): v for k, v in weights.items() if k.startswith("recurrent.")})
    known = {word: number for number, word in enumerate(WORDS) if word not in ("<unk>", "<pad>")}
    tokens = [known.get(word, 0) for word in basic_english(text)] or [0]
    _, state = layer(weights["embedding.weight"][tokens][:, None])
    last = (state[0] if cell == "lstm" else state)[-2:, 0].flatten()
    return torch.sigmoid(weights["output.weight"] @ last + weights["output.bias"]).item()


@pytest.mark.parametrize("cell", TORCH)
def test_probabilities_are_those_of_torchs_layers_without_padding_in_the_order_given(cell, tmp_path):
    model = ReviewModel(*model_files(tmp_path, cell), {})
    chance = torch.Generator().manual_seed(1)
    texts = [
        " ".join(WORDS[int(i)] for i in torch.randint(2, len(WORDS), (int(n),), generator=chance))
        for n in torch.randint(0, 30, (40,), generator=chance)
    ]
    texts += [
        "",
        "  \n ",
        "<pad> good <pad>",
        "<unk> good <unk>",
        "Good!",
        "not\x00good",
        "\ud83d\ude00",
        "good " * 500,
    ]
    verdicts = model.predict(texts)
    assert [verdict.text for verdict in verdicts] == texts
    expected = [by_torch(tmp_path, cell, text) for text in texts]
    assert [verdict.probabilities["positive"] for verdict in verdicts] == pytest.approx(expected, abs=1e-6)
    assert [verdict.label for verdict in verdicts] == ["positive" if p > 0.5 else "negative" for p in expected]
    assert len({verdict.label for verdict in verdicts}) == 2


def test_batches_hold_every_text_once_and_never_more_than_memory_may():
    lengths = [1] * 700 + [20000] * 13 + [3] * 5 + [10**6]
    batches = list(reviews._batches(lengths))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert max(map(len, batches)) == 256
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert longest == lengths[batch[-1]]
        assert len(batch) == 1 or len(batch) * longest <= 1 << 17
    assert list(reviews._batches([])) == []


def test_more_texts_than_a_batch_holds_get_the_answers_that_they_get_alone(tmp_path):
    model = ReviewModel(*model_files(tmp_path, "gru"), {})
    texts = [f"the film is {'not ' * (i % 7)}{'good' if i % 2 else 'bad'}" for i in range(600)]
    alone = {text: model.predict([text])[0].probabilities["positive"] for text in set(texts)}
    together = [verdict.probabilities["positive"] for verdict in model.predict(texts)]
    assert together == pytest.approx([alone[text] for text in texts], abs=1e-6)


def test_of_three_labels_the_softmax_is_told_and_long_texts_are_read_from_their_start(tmp_path):
    net = ReviewClassifier("gru", vocabulary_size=4, classes=3, **SIZES)
    net.start(torch.Generator().manual_seed(3))
    write_tensors(tmp_path / "w.safetensors", {name: value.numpy() for name, value in net.state_dict().items()})
    (tmp_path / "vocabulary.txt").write_text("<unk>\n<pad>\n猫\n犬\n")
    ready = {"labels": ["a", "b", "c"], "unit": "characters", "cut": {"longest": 3, "texts": 0}}
    model = ReviewModel({"cell": "gru", **SIZES}, tmp_path / "w.safetensors", tmp_path / "vocabulary.txt", ready)
    verdict, longer = model.predict(["猫犬鳥", "猫犬鳥犬犬"])
    with torch.no_grad():
        expected = torch.softmax(net.eval()(torch.tensor([[2], [3], [0]]), torch.tensor([3]))[0], 0)
    assert list(verdict.probabilities) == ["a", "b", "c"]
    assert list(verdict.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)
    assert verdict.label == "abc"[int(expected.argmax())]
    assert verdict.unknown_words == ["鳥"]
    assert longer.probabilities == pytest.approx(verdict.probabilities)


def test_unknown_words_are_named_once_each_in_order(tmp_path):
    model = ReviewModel(*model_files(tmp_path, "gru"), {})
    (verdict,) = model.predict(["Zebra, the film <pad> <unk> zebra's YAK good!"])
    assert verdict.unknown_words == ["zebra", ",", "<pad>", "<unk>", "s", "yak", "!"]


def test_weights_that_are_damaged_or_anothers_are_refused_in_one_line(tmp_path):
    settings, weights, vocabulary = model_files(tmp_path, "gru")
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        ReviewModel(settings | {"hidden_size": 4}, weights, vocabulary, {})
    good = weights.read_bytes()
    for bad in (good[:100], good[:-1] + bytes([good[-1] ^ 1])):
        weights.write_bytes(bad)
        with pytest.raises(InputError, match=r"weights\.safetensors is damaged.*run `") as failed:
            ReviewModel(settings, weights, vocabulary, {})
        assert "\n" not in str(failed.value)
