"""Score what needs no recurrent cell: `python -m stages.baseline STUDY`."""

from pathlib import Path

from stages.support.files import verify, write_json
from stages.support.params import read_kind
from stages.support.process import run_stage


def main(study: str) -> None:
    """Write metrics/STUDY/baseline.json."""
    kind = read_kind(study)
    raw, ready = Path("data/raw", study), Path("data/ready", study)
    corpus = verify(ready)["corpus"]
    rows = kind.baselines(raw, ready)
    write_json(Path("metrics", study, "baseline.json"), {"study": study, "corpus": corpus, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
