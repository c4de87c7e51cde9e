"""Write the raw data of a study, fetched, or made by the project: `python -m stages.fetch STUDY`."""

from pathlib import Path

from stages.support.files import root
from stages.support.params import load_params, read_corpus
from stages.support.process import run_stage
from stages.text.corpora.download import Mirror


def main(study: str) -> None:
    """Write data/raw/STUDY as its settings say."""
    kind, corpus = read_corpus(study)
    mirror = Mirror.chosen(load_params().mirror, root())
    kind.fetch(corpus, Path("data/raw", study), mirror, root() / "downloads")


if __name__ == "__main__":
    run_stage(main)
