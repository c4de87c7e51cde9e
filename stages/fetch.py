"""Write the raw corpus of a study, real or made by the project: `python -m stages.fetch imdb|ptb`."""

from collections.abc import Callable
from pathlib import Path

from stages.support.files import root, whole
from stages.support.params import load_params
from stages.support.process import InputError, run_stage
from stages.text.corpora import imdb, ptb, sample_imdb, sample_ptb
from stages.text.corpora.download import Mirror

REAL: dict[str, Callable[..., None]] = {"imdb": imdb.fetch_imdb, "ptb": ptb.fetch_ptb}
# Not params.yaml's seed: the corpus is data, and depends on nothing but its own section.
SAMPLE_SEED = 0
SAMPLE: dict[str, Callable[..., None]] = {"imdb": sample_imdb.write_sample, "ptb": sample_ptb.write_sample}


def main(study: str = "") -> None:
    """Write data/raw/STUDY as the profile says."""
    if study not in REAL:
        raise InputError(f"fetch: '{study}' has no corpus; studies with one are {', '.join(REAL)}")
    params = load_params()
    corpus = params.section(study).corpus
    target = Path("data/raw") / study
    if corpus.source == "real":
        mirror = Mirror.chosen(params.mirror, root())
        REAL[study](target, mirror=mirror, downloads=root() / "downloads")
        return
    with whole(target) as folder:
        folder.mkdir()
        SAMPLE[study](folder, seed=SAMPLE_SEED, **corpus.model_dump(exclude={"source"}))


if __name__ == "__main__":
    run_stage(main)
