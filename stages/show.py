"""The answer on one screen: `python -m stages.show`; `python -m stages.show STUDY`: that study's tables.

The verdicts are the record's, which holds the published protocols; a run on sample text gives none on a document, and
stands beside them.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from stages.support.params import load_params
from stages.support.process import InputError, run_stage

_WIDTH = 100


def main(study: str = "") -> None:
    """Print the answer, or a study's tables."""
    if study:
        show_study(study)
        return
    params = load_params()
    print("\n".join(screen(params.studies, params.cells)))


def screen(studies: Sequence[str], cells: Sequence[str]) -> list[str]:
    """At most 40 lines of 100 columns: question, answers, three sentences, a mark a verdict, where to look next."""
    from stages.results.answers import answers_on_screen, in_three_sentences, record_answers, run_answers
    from stages.results.claims import record_verdicts, run_verdicts
    from stages.results.verdict import marks

    recorded, here = record_answers(), run_answers(studies, cells)
    lines = ["LSTM or GRU? The record of published protocols at full size; column `here`: this run.", ""]
    lines += answers_on_screen(recorded, here)
    for said in in_three_sentences(recorded or here):
        lines += textwrap.wrap(said, _WIDTH)
    lines.append("Claims in the record, as published, corrected, tuned: ✓ supported, ✗ contradicted, ? open (in")
    lines.append("brackets: not with all held to 5 % together); = this run's effect is on that side, ≠ it is not:")
    lines += _in_columns(marks(record_verdicts(), run_verdicts(studies, cells)))
    lines += [
        "Next: report/record.html and report/run.html say what decided; python -m stages.show STUDY; make ui;",
        "      dvc exp run -S cell=gru && dvc metrics diff; your own data: python -m stages.own FILE",
    ]
    return lines


def show_study(name: str) -> None:
    """Print a study's answer, a sentence a heading, its tables and where its page is.

    Raises:
        InputError: nothing is measured of it yet.
    """
    params = load_params()
    path = Path("plots", name, "table.md")
    if not path.exists():
        raise InputError(f"{path} is not there yet: run `dvc repro compare@{name}` first")
    from stages.results.answer import sentence
    from stages.results.answers import run_answers  # scipy is slow
    from stages.results.documents import documents

    if documents()[name]["document"] is None:
        from stages import own

        own.show(name)
        return
    for found in run_answers([name], params.cells):
        print("\n".join(textwrap.wrap(sentence(found), _WIDTH)), end="\n\n")
    print(path.read_text(encoding="utf-8"))
    print(f"Figures: plots/figures/{name}/. The page: report/run.html#{name} (`dvc repro report` writes it).")


def _in_columns(entries: Sequence[str]) -> list[str]:
    """Two columns, read downwards."""
    half = -(-len(entries) // 2)
    return [
        f"{left:<{_WIDTH // 2}}{right}".rstrip()
        for left, right in zip(entries[:half], [*entries[half:], ""], strict=False)
    ]


if __name__ == "__main__":
    run_stage(main)
