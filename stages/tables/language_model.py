"""A text to be continued: its size, script, and whether its words or its characters are enough for a model."""

from dataclasses import replace
from itertools import islice

from stages.tables.common import Sample, finished, share
from stages.tables.findings import Findings
from stages.tables.layout import Drops
from stages.tables.records import pieces
from stages.tables.texts import Measures, script, tags

_FEWEST_WORDS = 100_000  # of a text whose words a net had better read
_FEW_CHARACTERS = 20_000
_FEWEST_CHARACTERS = 1000
_CHUNK = 5000
_SAMPLE_PIECES = 1000


def look_at_language(findings: Findings) -> Findings:
    """Read all of the text."""
    drops = Drops()
    measures = Measures()
    sample: Sample[str] = Sample(_SAMPLE_PIECES)
    stream = pieces(findings.path, findings, drops)
    lines = findings.format == "plain text"
    while chunk := list(islice(stream, _CHUNK)):
        measures.add((piece[:-1] for piece in chunk), keys=not lines)
        sample.add([piece for piece in chunk if not piece.isspace()])
    letters, by_spaces = script(sample.items)
    words, characters = measures.lengths()
    total_words, total_characters = sum(measures.words), sum(measures.characters) + len(measures.characters)
    duplicates = 0 if lines else measures.repetitions()[0]
    warnings, refusals = tags(sample.items), []
    unit = "words" if by_spaces and total_words >= _FEWEST_WORDS else "characters"
    if by_spaces and unit == "characters":
        warnings.append(
            f"few words for a model of words ({total_words:,}); characters are enough for one of characters"
        )
    if total_characters < _FEWEST_CHARACTERS:
        refusals.append(f"{total_characters:,} characters; at least {_FEWEST_CHARACTERS:,} are needed")
    elif total_characters < _FEW_CHARACTERS:
        warnings.append(f"{total_characters:,} characters are few: differences between models will be uncertain")
    if duplicates:
        warnings.append(f"{share(duplicates, len(measures.words))} of the texts repeat an earlier one")
    findings = replace(
        findings,
        rows=len(measures.characters),
        words=words if by_spaces else None,
        characters=characters,
        total_words=total_words,
        total_characters=total_characters,
        script=letters,
        words_by_spaces=by_spaces,
        unit=unit,
    )
    return finished(findings, drops, warnings, refusals)
