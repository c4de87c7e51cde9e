"""Score what needs no recurrent cell: `python -m stages.baseline imdb|ptb`."""

from pathlib import Path

from stages.support.files import read_json, write_json
from stages.support.process import InputError, run_stage
from stages.text.baselines import bag_of_words_row, source_row, unigram_row


def main(study: str = "") -> None:
    """Write metrics/STUDY/baseline.json."""
    raw, ready = Path("data/raw", study), Path("data/ready", study)
    if study == "imdb":
        rows = [bag_of_words_row(raw, ready)]
    elif study == "ptb":
        rows = [row for row in (unigram_row(ready), source_row(raw)) if row]
    else:
        raise InputError(f"baseline: '{study}' has no corpus; studies with one are imdb, ptb")
    corpus = read_json(ready / "manifest.json")["corpus"]
    write_json(Path("metrics", study, "baseline.json"), {"study": study, "corpus": corpus, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
