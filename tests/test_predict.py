"""`python -m stages.predict` as its users type it, on the tiny pipeline's trained models."""

import json

import pytest

from stages.predict import _column_of_table, _texts
from stages.support.process import InputError

pytestmark = pytest.mark.end_to_end


def predict(clone, *words, **options):
    return clone.run("python", "-m", "stages.predict", "imdb", *words, **options)


def verdicts(clone, *words):
    return [json.loads(line) for line in predict(clone, "--json", *words).stdout.splitlines()]


def corrected(clone, cell):
    """The rows of a cell's corrected arm."""
    return [row for row in json.loads(clone.read(f"metrics/imdb/{cell}.json")) if "corrected" in row["protocols"]]


def test_a_table_is_no_text_a_line_where_no_column_is_known(tmp_path):
    for name in ("reviews.csv", "reviews.TSV", "reviews.parquet"):
        (tmp_path / name).write_text("text,label\na good film,good\n")
        with pytest.raises(InputError, match="a text a line"):
            _texts([], tmp_path / name, "")
    (tmp_path / "reviews.txt").write_text("a good film, good\n")
    assert _texts([], tmp_path / "reviews.txt", "") == ["a good film, good"]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_sentences_get_the_probabilities_that_evaluation_gave_them(clone, cell):
    scored = corrected(clone, cell)[-1]
    words = ["--cell", cell, "--repeat", str(scored["repeat"]), "--file", "data/ready/imdb/sentences.txt"]
    given = verdicts(clone, *words)
    assert len(given) == 13
    assert {v["text"]: v["probabilities"]["positive"] for v in given} == pytest.approx(
        scored["test"]["sentences"], abs=1e-6
    )
    assert [v["text"] for v in given if "hogehoge" in v["unknown_words"]] == ["hogehoge"]


def test_without_a_choice_it_is_the_cell_on_show_and_the_repeat_that_validation_prefers(clone):
    scored = corrected(clone, "lstm")
    best = min(scored, key=lambda repeat: repeat["validation"]["loss"])
    (given,) = verdicts(clone, "I love you.")
    assert given["probabilities"]["positive"] == pytest.approx(best["test"]["sentences"]["I love you."], abs=1e-6)
    said = predict(clone, "I love you.")
    assert said.stderr == f"imdb, lstm, repeat {best['repeat']}: trained on sample text made by this project\n"
    assert said.stdout == f"{given['label']}  {given['probabilities'][given['label']]:.4f}  I love you.\n"


def test_odd_texts_get_an_answer_each_in_order(clone, tmp_path):
    lines = [b"", b"I love you.", "\ufffd".encode(), "😀 \u2028 é".encode(), b"nul \x00 \x1b[31m", b"the " * 100_000]
    file = tmp_path / "odd.txt"
    file.write_bytes(b"\n".join(lines) + b"\n")
    given = verdicts(clone, "--file", str(file))
    assert [v["text"] for v in given] == [line.decode() for line in lines]
    assert given[2]["unknown_words"] == ["\ufffd"]
    assert "\x00" in given[4]["unknown_words"]
    assert all(0 < v["probabilities"]["positive"] < 1 for v in given)
    same = clone.run("bash", "-c", f"python -m stages.predict imdb --json < {file}").stdout
    assert [json.loads(line) for line in same.splitlines()] == given
    shown = clone.run("bash", "-c", f"PYTHONIOENCODING=ascii python -m stages.predict imdb --file {file}").stdout
    assert len(shown.splitlines()) == len(lines)
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    words = clone.run("bash", "-c", "python -m stages.predict imdb --json I é --cell gru '' | head -n 2").stdout
    assert [json.loads(line)["text"] for line in words.splitlines()] == ["I", "é"]


LINES = ["This film is horrible", "I loved the movie – très bien"]


def test_a_text_is_the_same_whoever_saved_it(clone, tmp_path):
    (tmp_path / "texts.txt").write_bytes("".join(f"{line}\r\n" for line in LINES).encode("utf-16"))
    assert verdicts(clone, "--file", str(tmp_path / "texts.txt")) == verdicts(clone, *LINES)


def test_bytes_that_are_no_utf_8_are_refused_by_name(clone, tmp_path):
    (tmp_path / "texts.txt").write_bytes("good\ntrès bien\n".encode("latin-1"))
    for words, named in (
        (f"--file {tmp_path}/texts.txt", "texts.txt, line 2"),
        (f"- < {tmp_path}/texts.txt", "standard input, line 2"),
        ("good $'tr\\xe8s bien'", "text 2"),
    ):
        failed = clone.run("bash", "-c", f"python -m stages.predict imdb {words}", check=False)
        assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (2, "", 1)
        assert named in failed.stderr
        assert "0xe8" in failed.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--cell", "elman", "good"], ["'elman'", "rnn, lstm, gru"]),
        (["--repeat", "5", "good"], ["repeat 5", "0, 1"]),
        (["--repeat", "first", "good"], ["--repeat", "'first'"]),
        (["--file", "absent.txt"], ["absent.txt", "No such file"]),
        (["--file", "params.yaml", "good"], ["params.yaml", "one of the two"]),
        (["--colour"], ["--colour"]),
        (["-"], ["standard input is empty"]),
    ],
)
def test_bad_input_gets_one_line_that_names_it(clone, words, named):
    failed = predict(clone, *words, check=False)
    assert (failed.returncode, failed.stdout) == (2, "")
    (line,) = failed.stderr.splitlines()
    assert all(word in line for word in named)


def test_what_is_not_trained_is_named_with_the_command_that_trains_it(changed_clone):
    clone = changed_clone
    (clone.folder / "models/imdb/gru/runs.json").unlink()
    failed = predict(clone, "--cell", "gru", "good", check=False)
    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    command = failed.stderr.split("`")[1]
    assert command == "dvc repro train@imdb-gru"
    clone.run(*command.split())
    assert predict(clone, "--cell", "gru", "good").stdout


def test_a_table_is_read_by_the_column_of_the_study_whatever_its_header(tmp_path, capsys):
    def read(content, column, name="new.csv"):
        (tmp_path / name).write_text(content)
        return _column_of_table(tmp_path / name, column)

    assert read("stars,Review\n1,awful\n5,loved it\n", "review") == ["awful", "loved it"]
    # A study of a file without a header knows its columns by their places.
    few = "ham\tsee you at eight then\nspam\twin a prize now\nham\treally great, loved it\n"
    assert read(few, "2", "q.tsv") == ["see you at eight then", "win a prize now", "really great, loved it"]
    assert read("review,label\nfine,good\nloved it, great,good\nbad,bad\n", "review") == ["fine", "bad"]
    assert "row 3" in capsys.readouterr().err
    for content, column in (("review,label\n", "review"), ("review,label\nfine,good\n", "text"), ("a,b\n1,2\n", "3")):
        with pytest.raises(InputError, match=r"new\.csv"):
            read(content, column)
