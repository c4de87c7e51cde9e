import bz2
import contextlib
import gzip
import io
import lzma
import random
import tarfile

import pytest

from stages.support.process import StageError
from stages.text.corpora.archive import read_members

FILES = {f"folder/{i}.txt": random.Random(i).randbytes(300 * i) for i in (0, 1, 2, 511, 512 * 3)}


def member(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_bytes(members, tar_format=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read(tmp_path, content, wanted=lambda name: True):
    path = tmp_path / "some.tar"
    path.write_bytes(content)
    return dict(read_members(path, wanted))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_packing_gives_the_same_members(tmp_path, pack, tar_format):
    members = [member("folder", type=tarfile.DIRTYPE)]
    members += [member(f"./{name}", content) for name, content in FILES.items()]
    assert read(tmp_path, pack(tar_bytes(members, tar_format))) == FILES


def test_long_names_are_read_and_unwanted_members_skipped(tmp_path):
    name = "folder/" + "n" * 300 + ".txt"
    members = [member("big", b"\0" * 5_000_000), member(name, b"text"), member("last", b"x")]
    assert read(tmp_path, gzip.compress(tar_bytes(members)), lambda n: n.startswith("folder/")) == {name: b"text"}


def claiming(size):
    info = tarfile.TarInfo("folder/huge.txt")
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def claiming_header(kind):
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, 5_000_000_000
    return info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024


SPARSE = tar_bytes([member("sparse", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"})])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tar_bytes([member("folder/../../outside.txt", b"x")]), "leads outside"),
        (tar_bytes([member("/etc/outside.txt", b"x")]), "leads outside"),
        (tar_bytes([member("folder/a", type=tarfile.SYMTYPE, linkname="/etc/passwd")]), "no plain file"),
        (tar_bytes([member("folder/a", type=tarfile.LNKTYPE, linkname="folder/b")]), "no plain file"),
        (tar_bytes([member("folder/a", type=tarfile.CHRTYPE)]), "no plain file"),
        (tar_bytes([member("folder/a", type=tarfile.FIFOTYPE)]), "no plain file"),
        (SPARSE, "no plain file"),
        (tar_bytes([member("a", b"1"), member("./a", b"1")]), "comes twice"),
        (claiming(2_000_000), "2000000 bytes"),
        (claiming(-5), "-5 bytes"),
        (claiming_header(tarfile.XHDTYPE), "bytes, where"),
        (claiming_header(tarfile.GNUTYPE_LONGNAME), "bytes, where"),
    ],
)
def test_what_no_honest_archive_holds_is_refused(tmp_path, content, reason):
    with pytest.raises(StageError, match=reason) as caught:
        read(tmp_path, gzip.compress(content))
    assert "refused" in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.BLKTYPE])
def test_it_is_refused_even_where_it_is_not_wanted(tmp_path, kind):
    content = tar_bytes([member("other", type=kind, linkname="x")])
    with pytest.raises(StageError, match="refused"):
        read(tmp_path, content, lambda name: False)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    info = tarfile.TarInfo("zeros")
    info.size = 10**12
    with pytest.raises(StageError, match="unpacks to more than"):
        read(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + claiming(1), lambda name: name != "zeros")


GOOD = tar_bytes([member(name, content) for name, content in FILES.items()])


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_archive_is_named(tmp_path, pack, kept):
    packed = pack(GOOD)
    with pytest.raises(StageError, match=r"some\.tar: not a readable archive"):
        read(tmp_path, packed[: int(len(packed) * kept)])


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x1f\x8bnot gzip", b"BZhnot bzip2", b"\xfd7zXZ\0nothing"])
def test_what_is_no_archive_is_named(tmp_path, content):
    with pytest.raises(StageError, match=r"some\.tar: not a readable archive"):
        read(tmp_path, content)


def test_random_damage_ends_in_an_error_for_the_user_or_in_members(tmp_path):
    rng = random.Random(0)
    for _ in range(150):
        damaged = bytearray(GOOD)
        for _ in range(3):
            start = rng.randrange(0, len(damaged) // 512) * 512  # mostly headers
            damaged[start + rng.randrange(512)] = rng.randrange(256)
        with contextlib.suppress(StageError):
            read(tmp_path, bytes(damaged))
