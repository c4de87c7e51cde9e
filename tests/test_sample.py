"""`python -m stages.sample` as its users type it, on the tiny pipeline's trained models."""

import pytest

pytestmark = pytest.mark.end_to_end


def sample(clone, *words, **options):
    return clone.run("python", "-m", "stages.sample", "ptb", *words, **options)


def test_a_prompt_goes_on_with_as_many_words_as_asked_and_a_seed_repeats_them(clone):
    known = clone.read("data/ready/ptb/vocabulary.txt").splitlines()
    words = ["--cell", "gru", "--prompt", "the bank Zebra", "--tokens", "200", "--seed", "3"]
    given = sample(clone, *words)
    assert given.stdout.startswith("the ")
    lines = given.stdout.removesuffix("\n").split("\n")
    drawn = sum(len(line.split()) for line in lines) + len(lines) - 1 - 3  # a line break is a word, <eos>
    assert drawn == 200
    assert set(given.stdout.split()) <= set(known)
    model, unknown = given.stderr.splitlines()
    assert model.startswith("ptb, better gru, repeat ")
    assert "Zebra" in unknown
    assert sample(clone, *words).stdout == given.stdout
    assert sample(clone, *words[:-1], "4").stdout.split()[3:] != given.stdout.split()[3:]


def test_temperature_zero_needs_no_seed_and_the_basic_model_is_another(clone):
    greedy = [sample(clone, "--model", "basic", "--temperature", "0", "--seed", seed) for seed in ("1", "2")]
    assert greedy[0].stdout == greedy[1].stdout
    assert greedy[0].stderr.startswith("ptb, basic lstm")


def test_odd_prompts_are_read_and_unknown_words_can_be_left_out_of_what_is_drawn(clone):
    odd = "$'\\xef\\xbf\\xbd \\n\\n <eos> 😀 \\x1b[31m'"
    given = clone.run("bash", "-c", f"python -m stages.sample ptb --no-unknown --tokens 300 --prompt {odd}")
    assert given.stdout.count("<unk>") == 3  # of the prompt alone
    assert given.stdout.startswith("<unk>\n\n\n<unk> <unk> ")
    assert "\x1b" not in given.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--cell", "elman"], ["'elman'", "rnn, lstm, gru"]),
        (["--temperature", "-0.5"], ["--temperature -0.5", "0 or more"]),
        (["--temperature", "nan"], ["--temperature nan", "0 or more"]),
        (["--tokens", "0"], ["--tokens 0", "1 or more"]),
        (["--seed", "-1"], ["--seed -1"]),
        (["--model", "best"], ["'best'", "better", "basic"]),
        (["--repeat", "9"], ["repeat 9", "0, 1"]),
        (["--prompt", "\udcff\udcfe"], ["--prompt", "0xff", "UTF-8"]),
    ],
)
def test_bad_input_gets_one_line_that_names_it(clone, words, named):
    failed = sample(clone, *words, check=False)
    assert (failed.returncode, failed.stdout) == (2, "")
    (line,) = failed.stderr.splitlines()
    assert all(word in line for word in named)
