"""Turn a study's raw data into the arrays that training reads: `python -m stages.tokenize STUDY`."""

from pathlib import Path

from stages.support.files import whole
from stages.support.params import read_tokens
from stages.support.process import InputError, run_stage


def main(study: str) -> None:
    """Write data/ready/STUDY from data/raw/STUDY, whole or not at all."""
    kind, tokens = read_tokens(study)
    with whole(Path("data/ready", study)) as ready:
        try:
            kind.tokenize(tokens, Path("data/raw", study), ready)
        except InputError as error:
            raise InputError(f"{study}: {error}") from None


if __name__ == "__main__":
    run_stage(main)
