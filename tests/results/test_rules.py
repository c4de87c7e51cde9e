"""Rules that test a claim as it was made, on repeats whose answer is known; and the record's verdicts by other code."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from test_claims import arm, by_length, claimed, decided, normal, perplexities, reviews, study_of

from stages.results.claims import read_seconds, record_verdicts
from stages.results.record import headed, read_entries
from stages.results.row import read_rows
from stages.results.rules import Evidence, apply_rule
from stages.results.runs import Runs
from stages.results.verdict import PARTLY, Verdict, agreement, counterpart, family_table, known_text, marks
from tests.copies import ROOT

FIRST, SECOND = "I love this movie, by the way I hate the book.", "I hate this movie, by the way I love the book."


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


# --- the same words ---


@pytest.mark.parametrize(("apart", "expected"), [(0.0, "supported"), (1.5, "contradicted"), (0.69, "open")])
def test_two_sentences_of_the_same_words_are_compared_by_their_odds(apart, expected):
    cells = []
    for cell in ("lstm", "gru"):
        logits = normal(apart, 0.1, 6)
        tests = reviews([0.8] * 6)
        for test, logit in zip(tests, logits, strict=True):
            test["sentences"] |= {FIRST: 1 / (1 + math.exp(-logit - 0.4)), SECOND: 1 / (1 + math.exp(-0.4))}
        cells.append(arm("imdb", cell, tests))
    verdict = decided(study_of("imdb", *cells), "imdb-words-not-structure")
    assert verdict.verdict == expected
    assert verdict.effect == pytest.approx(math.exp(apart))


# --- how far a cell reaches ---


def solved_to(lengths_of_repeats):
    """Accuracies (repeats, 4): of lengths 5, 20, 50, 100 those up to a repeat's own are solved."""
    return np.array([[1.0 if length <= mine else 0.5 for length in (5, 20, 50, 100)] for mine in lengths_of_repeats])


@pytest.mark.parametrize(
    ("far", "reach", "expected"),
    [
        ([20] * 8, 20, "supported"),
        ([100] * 8, 100, "contradicted"),
        ([50] * 4 + [100] * 4, 100, "open"),  # just half
        ([20] * 5 + [50] * 3, 20, "supported"),
        ([0] * 8, 0, "supported"),
    ],
)
def test_a_cell_reaches_the_longest_length_that_half_of_its_repeats_solve(far, reach, expected, monkeypatch):
    claimed(monkeypatch, {"reaches": ["gru"], "score": "test_accuracy", "at_least": 0.9, "below": 100})
    verdict = decided(study_of("latch", by_length("gru", solved_to(far))), "x")
    assert (verdict.effect, verdict.verdict) == (reach, expected)
    assert verdict.low <= reach <= verdict.high


def test_how_far_half_of_the_repeats_reach_has_the_sign_tests_interval_and_p(monkeypatch):
    claimed(monkeypatch, {"reaches": ["gru"], "score": "test_accuracy", "at_least": 0.9, "below": 100})
    generator, missed = np.random.default_rng(0), 0
    for _ in range(200):
        far = generator.choice([5, 20, 50, 100], p=[0.1, 0.3, 0.35, 0.25], size=10)  # the median is 50
        verdict = decided(study_of("latch", by_length("gru", solved_to(far))), "x")
        assert verdict.p == pytest.approx(min(1.0, stats.binomtest(int((far >= 100).sum()), 10).pvalue))
        assert (verdict.verdict == "open") == (verdict.p >= 0.05)
        missed += not verdict.low <= 50 <= verdict.high
    assert missed <= 0.05 * 200
    few = decided(study_of("latch", by_length("gru", solved_to([100] * 5))), "x")
    assert (few.verdict, few.low) == ("open", None)


def test_a_length_that_nobody_tried_is_neither_reached_nor_missed(monkeypatch):
    claimed(monkeypatch, {"reaches": ["gru"], "score": "test_accuracy", "at_least": 0.9, "below": 101})
    assert decided(study_of("latch", by_length("gru", solved_to([100] * 8))), "x").verdict == "open"


def test_success_falls_with_length_by_each_repeats_slope(monkeypatch):
    claimed(monkeypatch, {"falls": ["rnn"], "score": "test_accuracy"})
    lengths = np.array([5, 20, 50, 100])
    slopes = normal(-0.2, 0.02, 8)
    accuracies = 0.9 + np.outer(slopes, lengths / 100)
    verdict = decided(study_of("latch", by_length("rnn", accuracies)), "x")
    assert verdict.effect == pytest.approx(-0.2)
    assert verdict.verdict == "supported"
    level = decided(study_of("latch", by_length("rnn", 0.9 + np.outer(slopes + 0.2, lengths / 100))), "x")
    assert level.verdict == "open"


# --- tuned, and at some lengths alone ---


def test_the_answers_claims_are_decided_by_tuned_repeats_at_its_lengths_alone():
    tuned = {"protocols": ("tuned",), "learning_rate": 0.03, "epochs": 30}
    noise = normal(0, 0.002, 10)
    at = {"rnn": [0.98, 0.1, 0.1, 0.90], "gru": [0.97, 0.9, 0.9, 0.91], "lstm": [0.9, 0.9, 0.9, 0.5]}
    cells = {
        cell: by_length(cell, np.array(means) + noise[:, None] * (cell != "rnn"), **tuned) for cell, means in at.items()
    }
    studies = study_of("latch", *cells.values())
    name = "latch-gru-like-rnn-once-fixed"
    verdict = decided(studies, name, "tuned")
    assert verdict.verdict == "supported"  # over all lengths the gru would be 40 points ahead
    assert verdict.parts[0].effect == pytest.approx(0.0, abs=1e-9)
    assert [row["setting"] for row in verdict.parts[0].details] == [5, 100]
    without = [row for row in studies["latch"] if row.setting != "100"]
    assert decided({"latch": without}, name, "tuned").reason == "no repeats of gru and rnn at length 100"
    corrected = study_of("latch", *(by_length(cell, np.array([means] * 10)) for cell, means in at.items()))
    assert decided(corrected, name, "tuned").reason.startswith("no repeats of gru as tuned")


# --- diverged ---


def test_nothing_rests_on_an_arm_of_which_a_repeat_diverged(monkeypatch):
    claimed(monkeypatch, {"score": "perplexity", "pairs": [["basic lstm", "basic rnn"]], "expect": "less"}, study="ptb")
    lstm = perplexities("basic", "lstm", [140.0, 141.0, 139.0])
    verdict = decided(study_of("ptb", lstm, perplexities("basic", "rnn", [150.0, 112_624.0, 151.0])), "x")
    assert (verdict.verdict, verdict.effect) == ("open", None)
    assert "1 of 3 repeats of basic rnn diverged" in verdict.reason
    whole = decided(study_of("ptb", lstm, perplexities("basic", "rnn", [150.0, 151.0, 149.0])), "x")
    assert whole.verdict == "supported"


# --- what stands beside ---


def test_the_chance_of_being_better_stands_beside_two_heaps_and_decides_nothing():
    rnn, lstm = np.array([[1.0]] * 7 + [[0.5]] * 3), np.array([[1.0]] * 2 + [[0.5]] * 8)
    verdict = decided(study_of("latch", by_length("rnn", rnn), by_length("lstm", lstm)), "latch-rnn-beats-lstm")
    wins = np.mean([(a > b) + (a == b) / 2 for a in rnn.ravel() for b in lstm.ravel()])
    assert f": {wins:.2f} [" in verdict.beside[0]
    assert "rnn 91.7 %, lstm 50.0 %" in verdict.beside[1]  # the middle six of ten


def test_chainers_claim_is_decided_by_chainers_timings():
    stored = json.loads((ROOT / "benchmarks/results/chainer_seconds.json").read_text())["rows"]
    seconds = {row["kernel"]: np.log(row["seconds"]) for row in stored}
    fused, stepwise = seconds["NStepLSTM"], seconds["LSTM"]
    interval = stats.ttest_1samp(stepwise - fused, 0).confidence_interval()
    (verdict,) = [v for v in record_verdicts() if v.id == "fibonacci-fused-equal-on-cpu"]
    assert (verdict.low, verdict.high) == pytest.approx(np.exp([interval.low, interval.high]))
    assert verdict.parts[1].verdict == "supported"  # step by step is faster
    assert any("torch" in text for text in verdict.beside)
    libraries = {row["library"] for row in read_seconds()["fibonacci"]}
    assert libraries == {"torch", "chainer"}


# --- as one family ---


def decided_by(p, **changes):
    about = {"id": f"c{p}", "study": "imdb", "source": "s", "origin": "document", "claim": "c", "published": ""}
    return Verdict(**about | {"protocol": "", "verdict": "supported", "p": p, "repeats": 10} | changes)


def test_verdicts_that_an_interval_left_open_are_of_the_family():
    """Of 35 claims of which none is true, some is called in about 5 % of families, whatever the intervals decided."""
    chance = np.random.default_rng(0)
    called = 0
    for _ in range(400):
        ps = chance.uniform(size=35)
        verdicts = [decided_by(float(p), verdict="supported" if p < 0.05 else "open") for p in ps]
        called += "stays" in family_table(verdicts).markdown()
    assert called / 400 < 0.08


def test_holm_by_hand():
    table = family_table([decided_by(p) for p in (0.04, 0.001, 0.02)] + [decided_by(0.5, verdict="open")])
    assert [row[0].text for row in table.rows] == ["c0.001", "c0.02", "c0.04"]
    assert [row[4].text for row in table.rows] == ["0.004", "0.06", "0.08"]  # times 4, 3, 2: the open one is of it
    crowded = family_table([decided_by(p) for p in (0.001, 0.03, 0.04)])
    assert [row[4].text for row in crowded.rows] == ["0.003", "0.06", "0.06"]
    assert [row[5].text for row in crowded.rows] == ["stays", "open", "open"]


def test_the_p_value_is_that_of_the_interval():
    # On the interval's very end of the claim's side p is 5 %.
    for confidence, called in ((0.9, False), (0.99, True)):
        quantile = stats.t.isf((1 - confidence) / 2, 5)
        slower = 1.0 + normal(0.001 * quantile, 0.001 * math.sqrt(6), 6)
        lstm, gru = (
            perplexities("basic", cell, values) for cell, values in (("lstm", np.exp(slower)), ("gru", [math.e] * 6))
        )
        rule = {"score": "perplexity", "pairs": [["basic lstm", "basic gru"]], "expect": "greater"}
        with pytest.MonkeyPatch.context() as patch:
            claimed(patch, rule, study="ptb")
            verdict = decided(study_of("ptb", lstm, gru), "x")
        assert verdict.p == pytest.approx(1 - confidence)
        assert (verdict.verdict == "supported") == called


# --- what is known, and another run ---


def test_an_open_verdict_says_what_is_known():
    shown = decided_by(
        0.05, verdict="open", effect=0.042, low=0.0198, high=0.065, percent=True, pair=("gru", "lstm"),
        claimed_low=-0.02, claimed_high=0.02, reason=f"{PARTLY} between -2 and 2 points",
    )  # fmt: skip
    # Rounded as its other end, the lower one would be the claim's bound.
    assert known_text(shown) == "gru 1.98 to 6.5 points above lstm; whether it lies between -2 and 2 points is open"
    below = decided_by(
        0.05, verdict="open", low=-0.065, high=-0.02, percent=True, pair=("gru", "lstm"), claimed_high=0.0,
        reason="contradicted alone",
    )  # fmt: skip
    assert known_text(below) == "gru 2.0 to 6.5 points below lstm"
    assert known_text(decided_by(0.01, low=1.0, high=2.0)) == ""


@pytest.mark.parametrize(
    ("recorded", "here", "expected"), [(0.1, 0.2, True), (0.1, -0.2, False), (-0.1, -0.2, True), (0.1, None, None)]
)
def test_a_run_agrees_where_its_effect_lies_on_the_same_side(recorded, here, expected):
    pair = [decided_by(0.01, effect=effect, claimed_low=0.0) for effect in (recorded, here)]
    assert agreement(*pair) is expected
    assert marks([pair[0]], [pair[1]])[0].split()[1:-1] == {True: ["="], False: ["≠"], None: []}[expected]


def test_an_arm_that_still_improves_when_its_training_ends_leaves_a_claim_of_converged_nets_open():
    def decide(best_epochs, **rule):
        rows = perplexities("basic", "lstm", [100.0, 101.0, 99.0, 100.5])
        deep = perplexities("better", "lstm", [120.0, 121.0, 119.0, 120.5])
        rows += [replace(row, best_epoch=epoch) for row, epoch in zip(deep, best_epochs, strict=True)]
        rule |= {"score": "perplexity", "pairs": [["better lstm", "basic lstm"]], "expect": "less"}
        base = Verdict("depth", "ptb", "a document", "document", "Deeper is better.", "", "corrected")
        (part,) = apply_rule(rule, base, Evidence({"ptb": Runs(rows)}))
        return part

    last = perplexities("better", "lstm", [1.0])[0].hyperparameters["epochs"]
    assert decide([last] * 4).verdict == "contradicted"
    found = decide([last, last, last, last - 1], converged=True)
    assert (found.verdict, found.p) == ("open", None)
    assert "3 of 4 repeats of better lstm" in found.reason
    assert decide([last, last, last - 1, last - 1], converged=True).verdict == "contradicted"


def test_what_is_better_by_a_hair_alone_has_converged():
    (row,) = perplexities("better", "lstm", [1.0])
    last = row.hyperparameters["epochs"]

    def improves(losses, best_epoch=last):
        epochs = range(last - len(losses) + 1, last + 1)
        curve = tuple({"epoch": n, "validation_loss": loss} for n, loss in zip(epochs, losses, strict=True))
        return replace(row, best_epoch=best_epoch, curve=curve).is_improving

    # PyTorch, which counts the same steps, divides its rate where one is none.
    for step in (2e-5, 9e-5, 1.1e-4, 1e-2):
        for losses in ([5.0, 4.0, 4.0 * (1 - step)], [4.0, 9.0, 4.0 * (1 - step)]):
            optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
            for loss in losses[:-1]:
                plateau.step(loss)
            before = optimizer.param_groups[0]["lr"]
            plateau.step(losses[-1])
            assert improves(losses) == (optimizer.param_groups[0]["lr"] == before) == (step > 1e-4)
    assert not improves([5.0, 4.0, 4.5], best_epoch=last - 1)
    assert improves([4.0])  # there is nothing to go by


def test_of_a_claim_of_parts_those_are_set_beside_each_other_that_decided_in_the_record():
    def parts(*effects):
        return [decided_by(0.01, effect=e, claimed_low=0.0, effect_label=f"part {n}") for n, e in enumerate(effects)]

    recorded, here = parts(0.3, -0.2), parts(0.1, -0.4)
    contradicted, supported = replace(recorded[1], parts=tuple(recorded)), replace(here[0], parts=tuple(here))
    assert agreement(contradicted, supported) is True
    assert agreement(replace(recorded[0], parts=tuple(recorded)), replace(here[1], parts=tuple(here))) is True
    assert agreement(contradicted, replace(here[0], parts=tuple(parts(-0.1, 0.4)))) is False
    assert counterpart(contradicted, supported) == here[1]
    assert counterpart(replace(recorded[0], parts=tuple(recorded)), supported) == here[0]


def test_parts_of_a_claim_that_differ_have_labels_that_do():
    for verdict in record_verdicts():
        found = {(part.effect_label, part.effect) for part in verdict.parts if part.effect is not None}
        assert len({label for label, _ in found}) == len(found), verdict.id


# --- the record ---


def test_rows_of_a_protocol_that_nobody_published_are_what_ifs_and_keep_their_scores():
    for study, cell in (("relay", "gru"), ("latch", "gru"), ("fibonacci", "lstm")):
        rows = read_entries(study, cell)
        assert [row for row in rows if row.protocols == ("what_if",)]
        assert [headed(row) for row in rows] == rows
    (row, *_) = [row for row in read_entries("relay", "gru") if row.protocols == ("what_if",)]
    from dataclasses import replace

    assert headed(replace(row, protocols=("published",))) == row
    assert not [row for row in read_entries("latch", "gru") if "published" in row.protocols]


def test_the_records_verdicts_by_other_code():
    found = {(v.id, v.protocol): v for v in record_verdicts()}
    loops = {}
    for cell in ("lstm", "gru"):
        rows = read_rows(Path("metrics/record/damped", f"{cell}.json"))
        rows = [row for row in rows if "corrected" in row.protocols]
        swings = np.array([np.std(row.test["closed_loop"]) / np.std(row.closed_loop_truth) for row in rows])
        signs = [np.sign(row.test["closed_loop"]) for row in rows]
        loops[cell] = np.abs(np.log(swings)), [int(np.abs(np.diff(s)).sum() // 2) for s in signs]
    assert set(loops["gru"][1]) == {0}
    interval = stats.ttest_rel(loops["lstm"][0], loops["gru"][0]).confidence_interval()
    damped = found["damped-lstm-follows-better", ""]
    assert (damped.low, damped.high) == pytest.approx(np.exp([interval.low, interval.high]))
    assert damped.verdict == "supported"
    counts = [
        [row.validation["accuracy"] < 0.45 for cell in ("rnn", "lstm", "gru") for row in read_entries("latch", cell)
         if protocol in row.protocols]
        for protocol in ("published", "corrected")
    ]  # fmt: skip
    reason = found["latch-below-chance-is-the-split", ""].reason
    assert f"{sum(counts[0]):,} of {len(counts[0]):,} published; {sum(counts[1]):,} of" in reason
    table = {
        length: np.mean([row.test["accuracy"] >= 0.9 for row in read_entries("latch", "gru")
                         if row.protocols == ("corrected",) and row.setting == length])
        for length in {row.setting for row in read_entries("latch", "gru")}
    }  # fmt: skip
    (gru,) = [part for part in found["latch-gates-not-good", "corrected"].parts if part.effect_label.endswith("gru")]
    assert gru.effect == max(int(length) for length, share in table.items() if share >= 0.5)
