"""The normalisation that torchtext calls `basic_english`, which the imdb study's document uses."""

_SPLIT_OFF = "'.,()!?"
_TO_SPACE = ("<br />", ";", ":")


def basic_english(text: str) -> list[str]:
    """Tokens of an English text: lower case, sentence punctuation apart, double quotes dropped.

    Double quotes go first, so that what they part is joined: `<br"" />` is a line break.
    Source: torchtext 0.18, data/utils.py.
    """
    text = text.lower().replace('"', "")
    for mark in _TO_SPACE:
        text = text.replace(mark, " ")
    for mark in _SPLIT_OFF:
        text = text.replace(mark, f" {mark} ")
    return text.split()
