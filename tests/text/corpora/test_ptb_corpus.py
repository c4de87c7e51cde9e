import hashlib
import json
from pathlib import Path

import pytest

from stages.support.process import StageError
from stages.text.corpora.download import Mirror, Patience, RemoteFile
from stages.text.corpora.ptb import FILES, fetch_ptb

REAL = Path(__file__).parents[4] / "shared" / "data"
PATIENCE = Patience(connect_seconds=10, read_seconds=10, fruitless_rounds=2, backoff_seconds=0.001)
TEXTS = {f"ptb.{part}.txt": f" a {part} sentence N\n".encode() * 50 for part in ("train", "valid", "test")}


@pytest.fixture
def fetch(tmp_path):
    def run(mirror="", home="http://127.0.0.1:9"):
        files = [
            RemoteFile(name, (f"{home}/{name}",), len(text), hashlib.sha256(text).hexdigest())
            for name, text in TEXTS.items()
        ]
        fetch_ptb(
            tmp_path / "raw",
            mirror=Mirror.parse(str(mirror), tmp_path),
            downloads=tmp_path / "downloads",
            files=files,
            patience=PATIENCE,
        )
        return {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}

    return run


@pytest.mark.parametrize("folder", ["mirror", "mirror/ptb"])
def test_a_mirror_folder_is_flat_or_has_a_folder_ptb(fetch, tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    for name, text in TEXTS.items():
        (tmp_path / folder / name).write_bytes(text)
    raw = fetch("mirror")
    assert {name: raw[name] for name in TEXTS} == TEXTS
    assert set(raw) == {*TEXTS, "LICENCE.txt", "provenance.json"}
    assert json.loads(raw["provenance.json"])["corpus"] == "ptb"
    assert not (tmp_path / "downloads").exists()


def test_mirror_address_and_public_home_give_the_same_folder(fetch, site, tmp_path):
    for name, text in TEXTS.items():
        site.files[f"/copies/ptb/{name}"] = text
    mirrored = fetch(f"{site.address}/copies")
    for path in (tmp_path / "downloads").iterdir():
        path.unlink()
    site.files = {f"/home/{name}": text for name, text in TEXTS.items()}
    assert fetch(home=f"{site.address}/home") == mirrored


def test_one_text_that_cannot_be_had_leaves_what_was_there(fetch, site, tmp_path):
    site.files = {f"/{name}": text for name, text in TEXTS.items() if "test" not in name}
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ptb.train.txt").write_text("what was there")
    with pytest.raises(StageError, match=r"ptb\.test\.txt could not be fetched: .*HTTP 404"):
        fetch(home=site.address)
    assert [path.read_text() for path in (tmp_path / "raw").iterdir()] == ["what was there"]


def test_another_text_in_a_mirror_folder_is_named(fetch, tmp_path):
    (tmp_path / "mirror").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "mirror" / name).write_bytes(text.replace(b"a valid", b"A valid"))
    with pytest.raises(StageError, match=r"ptb\.valid\.txt: not the published ptb\.valid\.txt: its SHA-256"):
        fetch("mirror")
    assert not (tmp_path / "raw").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason="the real corpora are not beside this repository")
def test_the_real_texts_are_those_that_public_loaders_pin(tmp_path):
    fetch_ptb(tmp_path / "raw", mirror=Mirror(REAL), downloads=tmp_path / "downloads")
    md5 = [hashlib.md5((tmp_path / "raw" / file.name).read_bytes()).hexdigest() for file in FILES]
    assert md5 == [
        "f26c4b92c5fdc7b3f8c7cdcb991d8420",
        "aa0affc06ff7c36e977d7cd49e3839bf",
        "8b80168b89c18661a38ef683c0dc3721",
    ]
