"""Make the sequences of a synthetic study: `python -m stages.generate STUDY`."""

from importlib import import_module
from pathlib import Path

from stages.support.files import digest, file_digest, seal, whole
from stages.support.params import load_params
from stages.support.process import InputError, run_stage


def main(study: str = "") -> None:
    """Write data/ready/STUDY: arrays, and manifest.json with their digest."""
    params = load_params()
    if study not in params.synthetic:
        raise InputError(f"generate: '{study}' is not one of synthetic ({', '.join(params.synthetic)})")
    write_data = import_module(f"stages.synthetic.{study}").write_data
    with whole(Path("data/ready", study)) as folder:
        folder.mkdir()
        write_data(folder, seed=params.seed, **params.section(study).data.model_dump())
        arrays = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
        seal(folder, {"corpus": "sequences", "digest": digest(arrays)})


if __name__ == "__main__":
    run_stage(main)
