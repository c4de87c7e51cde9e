"""classification, as imdb: the arms, batches that lose nothing, scores recomputed one review at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.kinds import classification
from stages.kinds.classification.model import PADDING, UNKNOWN
from stages.kinds.classification.task import Data, Task
from stages.studies import arms
from stages.support.files import seal
from stages.support.process import StageError
from stages.training.loop import update
from stages.training.seeds import order_generator

VOCABULARY = 30
TRAINING = classification.Training(
    layers=2,
    dropout=0.5,
    repeats="0",
    epochs=2,
    batch_size=8,
    learning_rate=0.001,
    embedding_size=6,
    hidden_size=4,
    precision="float32",
)


@pytest.fixture
def folder(tmp_path):
    """data/ready/imdb with 50 ragged reviews a part, one of a single token."""
    random = np.random.default_rng(0)
    for part in ("train", "validation", "test", "sentences"):
        lengths = np.append(random.integers(1, 40, 49), 1)
        np.save(tmp_path / f"{part}.tokens.npy", random.integers(2, VOCABULARY, lengths.sum()).astype(np.uint16))
        np.save(tmp_path / f"{part}.offsets.npy", np.concatenate([[0], lengths.cumsum()]))
        if part != "sentences":
            np.save(tmp_path / f"{part}.labels.npy", random.integers(0, 2, 50).astype(np.uint8))
    (tmp_path / "sentences.txt").write_text("".join(f"sentence {i}\n" for i in range(50)))
    seal(tmp_path, {"corpus": "sample", "digest": "d", "vocabulary_size": VOCABULARY})
    return tmp_path


def arms_of(cell):
    return arms("imdb", classification, cell, TRAINING)


def task(folder, cell="gru", protocol="corrected"):
    arm = next(arm for arm in arms_of(cell) if protocol in arm.protocols)
    return Task(Data(folder), arm.hyperparameters, seed=1, repeats=[0], device=torch.device("cpu"))


def test_only_the_published_gru_drops_more_between_its_layers():
    between = {
        (cell, protocol): arm.hyperparameters.dropout_between_layers
        for cell in ("rnn", "lstm", "gru")
        for arm in arms_of(cell)
        for protocol in arm.protocols
    }
    assert between == {
        ("rnn", "corrected"): 0.5,
        ("lstm", "published"): 0.5,
        ("lstm", "corrected"): 0.5,
        ("gru", "published"): 0.8,
        ("gru", "corrected"): 0.5,
    }
    assert [arm.slug for arm in arms_of("lstm")] == ["published"]


def texts(reviews):
    """Each review's tokens and label, sorted."""
    spans = zip(reviews.offsets, reviews.offsets[1:], reviews.labels, strict=False)
    return sorted((tuple(reviews.tokens[start:end].tolist()), int(label)) for start, end, label in spans)


def varied(folder, repeat=0, cell="gru", **changes):
    arm = next(arm for arm in arms_of(cell) if "corrected" in arm.protocols)
    changed = replace(arm.hyperparameters, **changes)
    return Task(Data(folder), changed, seed=1, repeats=[repeat], device=torch.device("cpu"))


def test_a_split_a_repeat_divides_the_same_texts_anew_for_all_cells_alike(folder):
    one = varied(folder)
    split = [varied(folder, repeat, cell, split="a repeat") for repeat in (0, 1) for cell in ("gru", "lstm")]
    for mine in split:
        assert sorted(texts(mine.train) + texts(mine.validation)) == sorted(texts(one.train) + texts(one.validation))
        assert len(mine.train) == len(one.train)
        assert texts(mine.tested) == texts(one.tested)
    first, of_lstm, second, _ = (texts(mine.train) for mine in split)
    assert first == of_lstm
    assert first not in (second, texts(one.train))


def test_fewer_texts_to_train_on_are_some_of_the_training_part_drawn_anew_for_each_repeat(folder):
    whole = texts(varied(folder).train)
    fewer = [varied(folder, repeat, train_texts=20) for repeat in (0, 0, 1)]
    for mine in fewer:
        assert len(mine.train) == 20
        assert mine.train_tokens == mine.train.lengths.sum()
        assert set(texts(mine.train)) <= set(whole)
        assert texts(mine.validation) == texts(varied(folder).validation)
    first, again, other = (texts(mine.train) for mine in fewer)
    assert first == again != other
    with pytest.raises(StageError, match="train_texts: 51 is more than the training part has: 50"):
        varied(folder, train_texts=51)


def test_an_epoch_has_every_review_once_as_it_is_padded_at_its_end(folder):
    mine = task(folder)
    reviews = mine.train
    seen = []
    for tokens, lengths, labels in mine.batches([order_generator(1, 0, 1)]):
        assert tokens.shape == (lengths.max(), len(labels))
        for column, length, label in zip(tokens.T, lengths, labels, strict=True):
            assert (column[length:] == PADDING).all()
            seen.append((tuple(column[:length].tolist()), int(label)))
    assert sorted(seen) == texts(reviews)


def test_the_order_changes_from_epoch_to_epoch_and_is_shared_by_the_cells(folder):
    def order(cell, epoch):
        batches = task(folder, cell).batches([order_generator(1, 0, epoch)])
        return torch.cat([tokens[0] for tokens, _, _ in batches]).tolist()

    assert order("lstm", 1) == order("gru", 1)
    assert order("gru", 1) != order("gru", 2)


def test_scores_are_those_of_one_review_at_a_time(folder):
    mine = task(folder)
    (tested,) = mine.test()
    reviews = mine.tested
    mine.model.eval()
    losses, right = [], []
    with torch.no_grad():
        for i in np.argsort(reviews.lengths, kind="stable"):
            text = torch.from_numpy(reviews.tokens[reviews.offsets[i] : reviews.offsets[i + 1]].astype(np.int64))
            probability = torch.sigmoid(mine.model(text[:, None], torch.tensor([len(text)]))).item()
            label = int(reviews.labels[i])
            losses.append(-np.log(probability if label else 1 - probability))
            right.append((probability > 0.5) == bool(label))
    assert tested["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert tested["accuracy"] == pytest.approx(np.mean(right))
    # The document's means of batch means: 6 batches of 8 and one of 2, which counts as much as the others.
    batches = [slice(i, i + 8) for i in range(0, 50, 8)]
    assert tested["batch_mean_loss"] == pytest.approx(np.mean([np.mean(losses[b]) for b in batches]), rel=1e-5)
    assert tested["batch_mean_accuracy"] == pytest.approx(np.mean([np.mean(right[b]) for b in batches]))
    assert tested["batch_mean_loss"] != pytest.approx(tested["loss"], rel=1e-4)
    assert list(tested["sentences"]) == [f"sentence {i}" for i in range(50)]


def test_a_word_that_no_training_text_has_stays_as_the_unknown_one_is(folder):
    tokens = np.load(folder / "train.tokens.npy")
    tokens[tokens == 7] = 8
    np.save(folder / "train.tokens.npy", tokens)
    seal(folder, {"corpus": "sample", "digest": "d", "vocabulary_size": VOCABULARY})
    mine = task(folder)
    lacking = {UNKNOWN, PADDING, 7}
    for _ in range(2):
        zero = (mine.model.embedding.weight == 0).all(1).nonzero().flatten().tolist()
        assert set(zero) == lacking
        for batch in mine.batches([order_generator(1, 0, 1)]):
            update(mine, batch)


def test_a_few_updates_learn_what_one_token_decides(folder):
    torch.manual_seed(0)  # dropout's
    mine = task(folder)
    first = mine.train.tokens[mine.train.offsets[:-1]]
    mine.train.labels = (first > VOCABULARY / 2).astype(np.uint8)
    mine.optimizer.param_groups[0]["lr"] = 0.03
    losses = []
    for epoch in range(1, 41):
        steps = []
        for batch in mine.batches([order_generator(1, 0, epoch)]):
            step = mine.step(batch)
            mine.optimizer.zero_grad()
            step.loss.backward()
            mine.optimizer.step()
            steps.append(step.loss.item())
        losses.append(np.mean(steps))
    assert losses[-1] < 0.2 < 0.6 < losses[0]  # dropout of 0.5 leaves some
