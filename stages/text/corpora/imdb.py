"""The Large Movie Review Dataset (aclImdb): 25,000 labelled reviews to train on and 25,000 to test on.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stages.support.files import file_digest, whole, write_json, write_text
from stages.support.process import StageError
from stages.text.corpora.archive import read_members
from stages.text.corpora.download import Mirror, Patience, RemoteFile, download, note
from stages.text.corpora.reviews_tar import write_reviews

HOMEPAGE = "https://ai.stanford.edu/~amaas/data/sentiment/"
ARCHIVE = RemoteFile(
    name="aclImdb_v1.tar.gz",
    addresses=(
        "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        "https://dataset.bj.bcebos.com/imdb%2FaclImdb_v1.tar.gz",  # PaddlePaddle's copy
        "http://d2l-data.s3-accelerate.amazonaws.com/aclImdb_v1.tar.gz",  # Dive into Deep Learning's copy
    ),
    size_bytes=84_125_825,
    sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
)
REPACKED_NAME = "aclImdb_labelled.tar.xz"  # the same reviews alone, in a quarter of the bytes
REVIEWS_SHA256 = "b155ae18c4016500d64b7ea091f3f04c4ea9e702ab3bdb2b4aa0effbd4da11c6"
LICENCE = """\
Large Movie Review Dataset v1.0 (aclImdb)
https://ai.stanford.edu/~amaas/data/sentiment/

The reviews were written by users of IMDb, and the rights to them stay with their authors and IMDb, whose
conditions allow personal and non-commercial use. The authors of the paper below collected them for research
and published them without a licence of their own. The project that fetched this copy does not distribute it
and grants no rights to it: whoever uses it sees to their own.

The authors ask that work which uses the data set cites:

  Andrew L. Maas, Raymond E. Daly, Peter T. Pham, Dan Huang, Andrew Y. Ng, and Christopher Potts (2011).
  Learning Word Vectors for Sentiment Analysis. Proceedings of the 49th Annual Meeting of the Association for
  Computational Linguistics: Human Language Technologies, pages 142-150. https://aclanthology.org/P11-1015/
"""

_LABELLED = re.compile(r"aclImdb/(train|test)/(pos|neg)/[^/.][^/]*\.txt")
_PREFIX_DIGITS = 8
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class ReviewPins:
    """What the reviews must be, whatever archive they come in.

    `sha256` is over the lines that `sha256sum` prints for all reviews in the order of their names; `prefixes`
    maps each name to the first digits of its own line, so that a changed review can be named.
    """

    sha256: str
    prefixes: Mapping[str, str]

    @classmethod
    def of(cls, digests: Mapping[str, str]) -> "ReviewPins":
        """The pins of reviews from the SHA-256 of each."""
        prefixes = {name: digest[:_PREFIX_DIGITS] for name, digest in digests.items()}
        return cls(_joint_digest(digests), prefixes)

    @classmethod
    def published(cls) -> "ReviewPins":
        """The pins of the 50,000 published reviews."""
        table = Path(__file__).with_name("aclImdb.sha256.gz")
        lines = gzip.decompress(table.read_bytes()).decode().splitlines()
        return cls(REVIEWS_SHA256, {name: prefix for prefix, name in map(str.split, lines)})


def fetch_imdb(
    target: Path,
    *,
    mirror: Mirror,
    downloads: Path,
    archive: RemoteFile = ARCHIVE,
    pins: ReviewPins | None = None,
    patience: Patience = Patience(),  # noqa: B008 - immutable
) -> None:
    """Write reviews.tar, LICENCE.txt and provenance.json to the folder `target`, whole or not at all.

    The archive comes from the mirror (a folder's is read in place), from `downloads`, or from its public homes.
    Any archive is accepted that holds exactly the pinned reviews.

    Raises StageError where no archive can be had, and names the reviews that are changed, missing or too many.
    """
    pins = pins or ReviewPins.published()
    path = _find_archive(mirror, downloads, archive, patience)
    note(f"reading the reviews in {path}")
    try:
        reviews = _read_pinned(path, pins)
    except StageError:
        if path == downloads / REPACKED_NAME:  # no pin of its own would keep the next run from using it
            path.unlink()
        raise
    with whole(target) as folder:
        folder.mkdir()
        write_reviews(folder / "reviews.tar", reviews.items())
        write_text(folder / "LICENCE.txt", LICENCE)
        parts = {"train": "aclImdb/train/", "test": "aclImdb/test/"}
        provenance = {
            "corpus": "aclImdb",
            "title": "Large Movie Review Dataset v1.0",
            "homepage": HOMEPAGE,
            "licence": "LICENCE.txt",
            "reviews": {part: sum(n.startswith(start) for n in reviews) for part, start in parts.items()},
            "review_bytes": {
                part: sum(len(content) for n, content in reviews.items() if n.startswith(start))
                for part, start in parts.items()
            },
            "reviews_sha256": pins.sha256,
            "files": {"reviews.tar": file_digest(folder / "reviews.tar")},
        }
        write_json(folder / "provenance.json", provenance)


def _find_archive(mirror: Mirror, downloads: Path, archive: RemoteFile, patience: Patience) -> Path:
    if mirror.folder:
        others = sorted(p.name for p in mirror.folder.glob("aclImdb*.tar*") if p.suffix != ".part")
        if local := mirror.find(archive.name, REPACKED_NAME, *others):
            return local
        note(f"mirror {mirror.folder} has no {archive.name} and no {REPACKED_NAME}")
    offers = [archive]
    if mirror.address:
        at_mirror = replace(archive, addresses=mirror.addresses(archive.name))
        offers = [at_mirror, RemoteFile(REPACKED_NAME, mirror.addresses(REPACKED_NAME)), archive]
    return download(offers, downloads, patience)


def _read_pinned(path: Path, pins: ReviewPins) -> dict[str, bytes]:
    """All reviews of an archive by name; those that are not the pinned ones are not even kept in memory."""
    reviews: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for name, content in read_members(path, _LABELLED.fullmatch):
        digests[name] = hashlib.sha256(content).hexdigest()
        if digests[name][:_PREFIX_DIGITS] == pins.prefixes.get(name):
            reviews[name] = content
    changed = sorted(name for name in digests.keys() & pins.prefixes.keys() if name not in reviews)
    missing = sorted(pins.prefixes.keys() - digests.keys())
    extra = sorted(digests.keys() - pins.prefixes.keys())
    groups = {"changed": changed, "missing": missing, "not in the published corpus": extra}
    if any(groups.values()):
        faults = (f"{len(names)} {fault} ({_few(names)})" for fault, names in groups.items() if names)
        raise StageError(f"{path}: not the published reviews: {'; '.join(faults)}")
    if (found := _joint_digest(digests)) != pins.sha256:
        raise StageError(f"{path}: not the published reviews: joint SHA-256 {found}, not {pins.sha256}")
    return reviews


def _joint_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 of the lines that `sha256sum` prints for the reviews in the order of their names."""
    joint = hashlib.sha256()
    for name, digest in sorted(digests.items()):
        joint.update(f"{digest}  {name}\n".encode())
    return joint.hexdigest()


def _few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
