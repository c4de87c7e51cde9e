"""Write the raw data of a study, fetched, or made by the project: `python -m stages.fetch STUDY`."""

import os
from pathlib import Path

from stages.support.files import root
from stages.support.params import load_params, read_section
from stages.support.process import run_stage
from stages.text.corpora.download import Mirror


def main(study: str) -> None:
    """Write data/raw/STUDY as its corpus.json says."""
    kind, corpus = read_section(study, "corpus")
    mirror = Mirror.parse(load_params().mirror or os.environ.get("LSTM_VS_GRU_MIRROR", ""), root())
    kind.fetch(corpus, Path("data/raw", study), mirror, root() / "downloads")


if __name__ == "__main__":
    run_stage(main)
