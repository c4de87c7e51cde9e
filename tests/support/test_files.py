"""Files whole or not at all."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from stages.support.files import (
    DamagedFileError,
    decode,
    digest,
    read_json,
    seal,
    verify,
    whole,
    write_if_possible,
    write_json,
    write_text,
)
from stages.support.process import InputError


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "a") as temporary:
        temporary.write_text("half") / 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_folder_is_replaced_whole(tmp_path):
    for names in (["x", "y"], ["z"]):
        with whole(tmp_path / "folder") as temporary:
            temporary.mkdir()
            for name in names:
                (temporary / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["z"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".a.{gone.pid}.tmp").mkdir()
    (tmp_path / f".a.{os.getppid()}.tmp").touch()
    (tmp_path / f".ab.{gone.pid}.tmp").touch()  # another file's
    (tmp_path / ".a.no number.tmp").touch()  # nobody's
    write_text(tmp_path / "a", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f".a.{os.getppid()}.tmp", f".ab.{gone.pid}.tmp", ".a.no number.tmp", "a"]
    )


def test_what_json_cannot_say_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
    odd = {
        "names": ["Flow [ - ]", "[ 1, 2 ]", "a [ e ]\n[\n 1\n]"],
        "[ 1 ]": [1, 2.5, -3e-9],
        "none": [],
        "of": [[1, 2], [3]],
    }
    write_json(tmp_path / "a.json", odd)
    assert read_json(tmp_path / "a.json") == odd
    write_json(tmp_path / "a.json", {"x": 0.1 + 0.2, "text": "déjà vu"})
    assert read_json(tmp_path / "a.json") == {"x": 0.1 + 0.2, "text": "déjà vu"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", []),
        (b'{"a": 1', []),
        (b'{"a": NaN}', ["no finite number"]),
        (b'{"a": 1e400}', ["1e400 is no finite number"]),
        (b'{"a": "\xe9"}', ["no UTF-8", "byte 7 is 0xe9"]),
        (b"[" * 100_000, ["nested too deep"]),
        (b"1" * 5000, []),
        (b'{"a": "\\ud800"}', ["surrogates"]),
        (b"[\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> other\n]\n", ["line 2", "'<<<<<<<'", "merge"]),
        (b"[\n1\n>>>>>>> other\n]\n", ["line 3", "'>>>>>>>'"]),
    ],
)
def test_what_is_no_json_is_named(tmp_path, data, words):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DamagedFileError) as failed:
        read_json(tmp_path / "a.json")
    assert all(word in str(failed.value) for word in [str(tmp_path / "a.json"), *words])


@pytest.fixture
def limited():
    """A limit on the size of files is the full disk that a test without privileges can have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("limited")
def test_a_full_disk_is_said_of_the_file_and_leaves_the_old_one(tmp_path, capsys):
    write_text(tmp_path / "a", "old")
    with pytest.raises(OSError) as failed:  # noqa: PT011
        write_text(tmp_path / "a", "new" * 1000)
    assert (failed.value.errno, failed.value.filename) == (errno.EFBIG, str(tmp_path / "a"))
    with pytest.raises(OSError) as failed, whole(tmp_path / "a") as folder:  # noqa: PT011, PT012
        folder.mkdir()
        (folder / "absent" / "b").write_text("")
    assert failed.value.filename == str(tmp_path / "a" / "absent" / "b")
    write_if_possible(tmp_path / "a", ["new" * 1000])
    assert str(tmp_path / "a") in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_sealed_folder_is_read_back_or_what_is_wrong_is_named(tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_bytes(b"abc")
    (folder / "inner/b").write_bytes(b"")
    facts = {"corpus": "sample", "counts": {"train": 3}}
    seal(folder, facts)
    assert {name: verify(folder)[name] for name in facts} == facts
    (folder / "later").touch()
    verify(folder)
    for name in ("a", "inner/b", "manifest.json"):
        good = (folder / name).read_bytes()
        (folder / name).write_bytes(good + b"1")
        with pytest.raises(DamagedFileError, match=f"{name} is damaged.*: run this"):
            verify(folder, "run this")
        (folder / name).unlink()
        with pytest.raises(DamagedFileError, match=f"{name} is not there: run this"):
            verify(folder, "run this")
        (folder / name).write_bytes(good)
    verify(folder)
    text = (folder / "manifest.json").read_bytes()
    for place in range(len(text)):
        (folder / "manifest.json").write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with suppress(DamagedFileError):
            assert {name: verify(folder)[name] for name in facts} == facts  # space for a line break, say


TEXT = "I loved the movie\nécole “ever” 😀\n\u2028 so\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8-sig", b""),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b"\0\0\xfe\xff"),
    ],
)
def test_text_is_the_same_in_every_encoding_and_with_every_line_end(encoding, mark, end):
    assert decode(mark + TEXT.replace("\n", end).encode(encoding), "") == TEXT


@pytest.mark.parametrize(
    "text", ["Das war schön\n", "Фильм был хорош\n", "Η ταινία ήταν καλή\n", "הסרט היה טוב\n", "ok"]
)
def test_text_in_utf_16_without_its_mark_is_seen(text):
    for encoding in ("utf-16-le", "utf-16-be"):
        assert decode(text.encode(encoding), "") == text
    assert decode(text.encode(), "") == text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"good\nd\xe9j\xe0 vu\n", ["texts.txt, line 2", "byte 0xe9", "UTF-8"]),
        ("这部电影很好".encode("utf-16-le"), ["texts.txt, line 1"]),
        ("这部电影很好".encode("gbk"), ["texts.txt, line 1"]),
        ("映画は\r\n".encode("utf-16-be"), ["texts.txt, line 1", "zero byte", "UTF-8"]),
        ("映画は\n".encode("utf-16-le"), ["texts.txt, line 1", "UTF-8"]),
        (b"\xff\xfea", ["texts.txt", "UTF-16"]),
        ("a\ud800b".encode("utf-16-le", "surrogatepass"), ["texts.txt", "line 1"]),
        (b"good\n\xf0\x9f", ["texts.txt, line 2"]),
    ],
)
def test_bytes_that_are_another_text_are_refused_by_name(data, words):
    with pytest.raises(InputError) as failed:
        decode(data, "texts.txt")
    assert all(word in str(failed.value) for word in words)


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1}) != digest({"a": 1, "b": [3, 2]})


@pytest.mark.skipif(sys.platform != "linux", reason="process groups are signalled as a terminal does on Linux")
def test_ctrl_c_ends_a_stage_and_its_workers_at_once():
    code = (
        "import os, time\n"
        "from stages.support.process import run_stage\n"
        "from stages.training.parallel import run_parallel\n"
        "def wait(n):\n    os.write(1, b'%d\\n' % os.getpid())  # whole, whoever else writes\n    time.sleep(600)\n"
        "run_stage(lambda: run_parallel(wait, [(n,) for n in range(4)], 2))\n"
    )
    stage = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers = [psutil.Process(int(stage.stdout.readline())) for _ in range(2)]
    os.killpg(stage.pid, signal.SIGINT)
    deadline = time.monotonic() + 30
    _, errors = stage.communicate(timeout=30)
    assert stage.returncode == -signal.SIGINT
    assert errors == ""
    _, alive = psutil.wait_procs(workers, timeout=deadline - time.monotonic())
    assert alive == []
