"""Results of training as the tracker finds them, made by hand for its tests."""

import json
from pathlib import Path


def row(repeat=0, *, cell="gru", study="imdb", profile="sample", corpus="sample", setting="", sweep="", **others):
    """What is known of a repeat before it has trained."""
    return {
        "study": study,
        "cell": cell,
        "profile": profile,
        "corpus": corpus,
        "data_digest": "abc",
        "setting": setting,
        "sweep": sweep,
        "protocols": ["corrected"],
        "hyperparameters": {"cell": cell, "learning_rate": 0.001, "names": ["adam"]},
        "repeat": repeat,
        "seed": 3,
    } | others


def key_of(repeat, cell="gru"):
    """A run key."""
    return f"{repeat:02x}{ord(cell[0]):02x}" * 16


def write(path, content):
    """Write text, bytes or JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else _text(content).encode())


def _text(content):
    return content if isinstance(content, str) else json.dumps(content)


def weights_of(repeat):
    """The bytes of a repeat's weights."""
    return bytes(range(repeat, repeat + 100))


def write_cell(folder, rows, *, keys=None, accuracy=None, validation=False, **scored):
    """Write models/STUDY/CELL and metrics/STUDY/CELL.json."""
    study, cell = rows[0]["study"], rows[0]["cell"]
    runs, tested = [], []
    for number, plain in enumerate(rows):
        repeat = plain["repeat"]
        name = "-".join(part for part in (plain["setting"], "corrected", str(repeat)) if part)
        own = {
            "key": keys[number] if keys else key_of(repeat, cell),
            "best_epoch": 2,
            "weights": f"weights/{name}.safetensors",
            "curve": [
                {"epoch": epoch, "train_loss": repeat + 1 / epoch} | ({"validation_loss": 0.5} if validation else {})
                for epoch in (1, 2, 3)
            ],
        }
        write(folder / "models" / study / cell / own["weights"], weights_of(repeat))
        runs.append(plain | own)
        test = {"accuracy": 0.5 + repeat / 16 if accuracy is None else accuracy, "sentences": {"I love you.": 0.5}}
        tested.append(plain | {"best_epoch": 2, "parameters": 1945, "validation": {}, "test": test} | scored)
    write(folder / "models" / study / cell / "runs.json", runs)
    write(folder / "metrics" / study / f"{cell}.json", tested)
    return Path(folder / "models" / study / cell)
