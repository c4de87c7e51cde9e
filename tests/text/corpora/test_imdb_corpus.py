import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from stages.support.process import StageError
from stages.text.corpora.download import Mirror, Patience, RemoteFile
from stages.text.corpora.imdb import REVIEWS_SHA256, ReviewPins, fetch_imdb

REAL = Path(__file__).parents[4] / "shared" / "data"
PATIENCE = Patience(connect_seconds=10, read_seconds=10, fruitless_rounds=2, backoff_seconds=0.001)
REVIEWS = {
    f"aclImdb/{part}/{label}/{i}_{rating}.txt": f"Review {i} of {part}, {label}: caf\u00e9.".encode() * (i + 1)
    for part in ("train", "test")
    for label, rating in (("pos", 9), ("neg", 2))
    for i in range(12)
}
PINS = ReviewPins.of({name: hashlib.sha256(content).hexdigest() for name, content in REVIEWS.items()})
CHANGED = "aclImdb/train/pos/7_9.txt"


def packed(reviews, pack=gzip.compress, others=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (*others, *reviews.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid = len(content), 1_300_000_000, 501
            archive.addfile(info, io.BytesIO(content))
    return pack(buffer.getvalue())


OFFICIAL = packed(
    REVIEWS,
    others=[
        ("aclImdb/imdb.vocab", b"the\nand\n"),
        ("aclImdb/train/unsup/0_0.txt", b"No label."),
        ("aclImdb/train/labeledBow.feat", b"9 0:1"),
        ("aclImdb/train/pos/._0_9.txt", b"left by a file manager"),
    ],
)


@pytest.fixture
def fetch(tmp_path):
    """Fetch into a new folder, offline unless a mirror or address is given; return the folder."""

    def run(mirror="", *, addresses=(), to="raw", pins=PINS):
        archive = RemoteFile("aclImdb_v1.tar.gz", tuple(addresses), len(OFFICIAL), hashlib.sha256(OFFICIAL).hexdigest())
        target = tmp_path / to
        fetch_imdb(
            target,
            mirror=Mirror.parse(str(mirror), tmp_path),
            downloads=tmp_path / "downloads",
            archive=archive,
            pins=pins,
            patience=PATIENCE,
        )
        return target

    return run


def mirror_with(tmp_path, **contents):
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_official_and_repacked_archives_give_the_same_bytes(fetch, site, tmp_path):
    site.files["/home/aclImdb_v1.tar.gz"] = OFFICIAL
    official = files(fetch(addresses=[f"{site.address}/home/aclImdb_v1.tar.gz"], to="official"))
    shuffled = {name: REVIEWS[name] for name in sorted(REVIEWS, key=lambda name: name[::-1])}
    for pack in (bytes, bz2.compress, lzma.compress):
        folder = tmp_path / pack.__module__
        folder.mkdir()
        (folder / "aclImdb_labelled.tar.xz").write_bytes(packed(shuffled, pack))
        assert files(fetch(folder, to=f"raw-{pack.__module__}")) == official
    assert set(official) == {"reviews.tar", "LICENCE.txt", "provenance.json"}

    with tarfile.open(fileobj=io.BytesIO(official["reviews.tar"])) as archive:
        members = [(info.name, archive.extractfile(info).read(), info.mtime) for info in archive]
    assert members == [(name, content, 0) for name, content in sorted(REVIEWS.items())]

    provenance = json.loads(official["provenance.json"])
    assert provenance["corpus"] == "aclImdb"
    assert provenance["reviews"] == {"train": 24, "test": 24}
    assert provenance["files"]["reviews.tar"] == hashlib.sha256(official["reviews.tar"]).hexdigest()


def test_the_joint_digest_is_that_of_sha256sum_lines(tmp_path):
    lines = "".join(f"{hashlib.sha256(REVIEWS[name]).hexdigest()}  {name}\n" for name in sorted(REVIEWS))
    assert PINS.sha256 == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("reviews", "fault"),
    [
        (REVIEWS | {CHANGED: b"Another opinion."}, f"1 changed ({CHANGED})"),
        ({n: c for n, c in REVIEWS.items() if n != CHANGED}, f"1 missing ({CHANGED})"),
        (REVIEWS | {"aclImdb/test/neg/99_1.txt": b"x"}, "1 not in the published corpus (aclImdb/test/neg/99_1.txt)"),
        ({n: c for n, c in REVIEWS.items() if "/neg/" in n}, "24 missing (aclImdb/test/pos/0_9.txt, "),
        ({n.replace("7_9", "7_10"): c for n, c in REVIEWS.items()}, f"{CHANGED}"),
        ({}, "48 missing"),
    ],
    ids=["changed", "missing", "extra", "half missing", "renamed", "empty"],
)
def test_what_differs_from_the_published_reviews_is_named(fetch, tmp_path, reviews, fault):
    mirror = mirror_with(tmp_path, aclImdb_labelled__tar__xz=packed(reviews or {"readme": b""}))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "reviews.tar").write_text("what was there")
    with pytest.raises(StageError) as caught:
        fetch(mirror)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path / "raw") == {"reviews.tar": b"what was there"}
    assert {path.name for path in tmp_path.iterdir()} <= {"raw", "mirror"}


def test_equal_first_digits_are_not_enough(fetch, tmp_path):
    mirror = mirror_with(tmp_path, aclImdb__tar=packed(REVIEWS, bytes))
    assert fetch(mirror).is_dir()
    with pytest.raises(StageError, match="joint SHA-256"):
        fetch(mirror, pins=replace(PINS, sha256="0" * 64))


def test_a_folder_is_read_in_place_and_its_partial_file_left_alone(fetch, tmp_path):
    mirror = mirror_with(tmp_path, aclImdb_v1__tar__gz__part=OFFICIAL[:100], aclImdb_v1__tar__gz=OFFICIAL)
    before = files(mirror)
    fetch(mirror)
    assert files(mirror) == before
    assert not (tmp_path / "downloads").exists()


def test_a_folder_without_the_archive_is_passed_over(fetch, site, tmp_path, capsys):
    site.files["/aclImdb_v1.tar.gz"] = OFFICIAL
    assert fetch(mirror_with(tmp_path), addresses=[f"{site.address}/aclImdb_v1.tar.gz"]).is_dir()
    assert "has no aclImdb_v1.tar.gz" in capsys.readouterr().err


def test_a_mirror_address_comes_first_with_either_archive(fetch, site):
    public = f"{site.address}/public/aclImdb_v1.tar.gz"
    site.files["/copies/aclImdb_labelled.tar.xz"] = packed(REVIEWS, lzma.compress)
    site.files["/public/aclImdb_v1.tar.gz"] = OFFICIAL
    fetch(f"{site.address}/copies/", addresses=[public])
    assert [path for path, _ in site.requests] == ["/copies/aclImdb_v1.tar.gz", "/copies/aclImdb_labelled.tar.xz"]


def test_a_mirror_address_without_either_leads_to_the_public_home(fetch, site):
    site.files["/public/aclImdb_v1.tar.gz"] = OFFICIAL
    fetch(f"{site.address}/copies", addresses=[f"{site.address}/public/aclImdb_v1.tar.gz"])
    assert len(site.requests) == 3
    fetch()  # what was fetched needs no server
    assert len(site.requests) == 3


def test_a_repacked_archive_of_other_reviews_is_not_kept(fetch, site, tmp_path):
    site.files["/aclImdb_labelled.tar.xz"] = packed(REVIEWS | {CHANGED: b"Another opinion."})
    with pytest.raises(StageError, match=CHANGED):
        fetch(site.address)
    site.files["/aclImdb_labelled.tar.xz"] = packed(REVIEWS)
    assert fetch(site.address).is_dir()


def test_the_published_table_has_the_published_shape():
    pins = ReviewPins.published()
    assert pins.sha256 == REVIEWS_SHA256
    folders = {}
    for name in pins.prefixes:
        folder, _, file = name.rpartition("/")
        number, rating = file.removesuffix(".txt").split("_")
        assert int(rating) in (range(7, 11) if folder.endswith("pos") else range(1, 5))
        folders.setdefault(folder, []).append(int(number))
    assert set(folders) == {f"aclImdb/{part}/{label}" for part in ("train", "test") for label in ("pos", "neg")}
    assert all(sorted(numbers) == list(range(12_500)) for numbers in folders.values())
