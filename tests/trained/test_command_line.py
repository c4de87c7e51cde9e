import os

import pytest

from stages.support.process import InputError
from stages.trained.command_line import as_text


def test_words_that_are_utf_8_are_text_whatever_the_locale_made_of_them():
    for word in ("", "good", "très bien 😀"):
        assert as_text(os.fsdecode(word.encode()), "text 1") == word


def test_a_word_that_is_no_utf_8_is_refused_by_name():
    with pytest.raises(InputError, match="text 2: byte 0xe8"):
        as_text(os.fsdecode("très bien".encode("latin-1")), "text 2")
