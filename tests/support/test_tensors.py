"""Arrays that are read back as they were written, or refused."""

import errno
import resource

import numpy as np
import pytest
from safetensors.numpy import load_file

from stages.support.files import DamagedFileError
from stages.support.tensors import read_tensors, write_tensors

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "one": np.float32(0.1)[...],
    "none": np.zeros((0, 3), np.uint16),
    "whole": np.array([-(2**62)]),
    "flags": np.array([True, False]),
}


def test_arrays_and_text_come_back_and_safetensors_reads_the_same(tmp_path):
    write_tensors(tmp_path / "w", ARRAYS, {"text": '"sha256":"' + "0" * 64 + '" é'})
    arrays, about = read_tensors(tmp_path / "w", "")
    assert about == {"text": '"sha256":"' + "0" * 64 + '" é'}
    for read in (arrays, load_file(tmp_path / "w")):
        assert read.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
            assert np.array_equal(read[name], array)


def test_the_same_arrays_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_tensors(tmp_path / name, ARRAYS, {"x": "1", "y": "2"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_byte_can_change_and_none_can_be_lost_or_added(tmp_path):
    path = tmp_path / "w"
    write_tensors(path, ARRAYS, {"x": "1"})
    good = path.read_bytes()
    bad = [good[:i] + bytes([good[i] ^ bit]) + good[i + 1 :] for i in range(len(good)) for bit in (1, 0x20, 0x80)]
    bad += [good[:i] for i in range(len(good))] + [good + b"\0", b"\xff" * 8, b"{}" * 100]
    for data in bad:
        path.write_bytes(data)
        with pytest.raises(DamagedFileError, match=r"w is damaged.*: run this"):
            read_tensors(path, "run this")


@pytest.fixture
def full_disk():
    """A limit on the size of files is the full disk that a test without privileges can have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_what_the_system_refuses_is_its_own_error(tmp_path):
    with pytest.raises(OSError) as failed:  # noqa: PT011
        write_tensors(tmp_path / "w", ARRAYS)
    assert failed.value.errno == errno.EFBIG
