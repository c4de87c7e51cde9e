import random

import pytest

from stages.text.tokens.basic_english import basic_english


def one_character_at_a_time(text):
    """The same rules, read off the protocol and applied by a scanner instead of by replacement."""
    text = "".join(c for c in text.lower() if c != '"')
    tokens, word, place = [], "", 0
    while place < len(text):
        if text.startswith("<br />", place):
            tokens, word, place = [*tokens, word], "", place + len("<br />")
            continue
        character = text[place]
        if character in ";:" or character.isspace():
            tokens, word = [*tokens, word], ""
        elif character in "'.,()!?":
            tokens, word = [*tokens, word, character], ""
        else:
            word += character
        place += 1
    return [token for token in [*tokens, word] if token]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I like it, but my friend hate it.", ["i", "like", "it", ",", "but", "my", "friend", "hate", "it", "."]),
        ('It\'s "great"!<br /><br />See: it;now', ["it", "'", "s", "great", "!", "see", "it", "now"]),
        ("New Year’s", ["new", "year’s"]),  # only the straight apostrophe is split off
        ("a-b <i>c</i> <br/>", ["a-b", "<i>c</i>", "<br/>"]),
        ('<br" />x', ["x"]),  # quotes go before line breaks
        ('a<br /">b <br" "/> <br/ >', ["a", "b", "<br/", ">"]),
        ("...", [".", ".", "."]),
        ("\x85\u2028\xa0", []),
        ("", []),
    ],
)
def test_known_texts(text, tokens):
    assert basic_english(text) == tokens


def test_agrees_with_the_scanner_on_random_texts():
    rng = random.Random(0)
    pieces = [
        "<br />",
        "<br",
        " />",
        '"',
        "'",
        *".,()!?;:",
        " ",
        "\n",
        "\xa0",
        "\u2028",
        "word",
        "İ",
        "ß",
        "É",
        "-",
        "5",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(12)))
        assert basic_english(text) == one_character_at_a_time(text), repr(text)


def test_tokens_of_tokens_are_themselves():
    text = 'He said: "It\'s (not) bad..."<br />Really?'
    assert basic_english(" ".join(basic_english(text))) == basic_english(text)
