"""Turn a raw corpus into the arrays that training reads: `python -m stages.tokenize imdb|ptb`."""

from pathlib import Path

from stages.support.files import whole
from stages.support.params import load_params
from stages.support.process import InputError, run_stage


def main(study: str = "") -> None:
    """Write data/ready/STUDY from data/raw/STUDY, whole or not at all."""
    raw = Path("data/raw") / study
    with whole(Path("data/ready") / study) as ready:
        if study == "imdb":
            from stages.text.tokens.imdb import tokenize_imdb

            tokens = load_params().section(study).tokens
            tokenize_imdb(
                raw,
                ready,
                vocabulary_size=tokens.vocabulary_size,
                validation_fraction=tokens.validation_fraction,
            )
        elif study == "ptb":
            from stages.text.tokens.ptb import tokenize_ptb

            tokenize_ptb(raw, ready)
        else:
            raise InputError(f"tokenize: '{study}' has no corpus; studies with one are imdb, ptb")


if __name__ == "__main__":
    run_stage(main)
