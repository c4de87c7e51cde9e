import hashlib
import multiprocessing
import random
import socket
import time
from dataclasses import replace

import pytest

from stages.support.process import InputError, StageError
from stages.text.corpora.download import Mirror, Patience, RemoteFile, download

CONTENT = random.Random(1).randbytes(700_000)  # several chunks
PATIENCE = Patience(connect_seconds=10, read_seconds=10, fruitless_rounds=3, backoff_seconds=0.001)
IMPATIENCE = replace(PATIENCE, read_seconds=0.3)  # only where a server is to be given up: others may be slow


@pytest.fixture
def file(site):
    site.files["/corpus.bin"] = CONTENT
    return RemoteFile("corpus.bin", (f"{site.address}/corpus.bin",), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def left_over(folder):
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_good_server_is_asked_once_and_a_checked_file_never_again(file, site, tmp_path):
    path = download([file], tmp_path / "new" / "downloads", PATIENCE)
    assert path.read_bytes() == CONTENT
    assert download([file], path.parent, PATIENCE) == path
    assert site.requests == [("/corpus.bin", None)]
    assert left_over(path.parent) == {"corpus.bin"}


def test_what_broke_off_is_resumed_where_it_ended(file, site, tmp_path):
    site.faults = ["truncates", "truncates"]
    assert download([file], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert [byte_range for _, byte_range in site.requests] == [None, "bytes=350000-", "bytes=525000-"]


def test_a_stalled_server_is_given_up_and_asked_for_the_rest(file, site, tmp_path):
    site.faults = ["stalls"]
    assert download([file], tmp_path, IMPATIENCE).read_bytes() == CONTENT
    (_, first), (_, second) = site.requests[:2]
    assert first is None
    assert 280_000 < int(second.removeprefix("bytes=").removesuffix("-")) <= 350_000


def test_a_dripping_server_is_left_for_the_next_address_and_given_up_for_good(file, site, tmp_path):
    other_name = f"{site.address.replace('127.0.0.1', 'localhost')}/corpus.bin"
    site.faults = ["drips"]
    impatience = replace(IMPATIENCE, bytes_per_second=1000)
    path = download([replace(file, addresses=(*file.addresses, other_name))], tmp_path, impatience)
    assert path.read_bytes() == CONTENT
    assert len(site.requests) == 2
    path.unlink()
    site.faults = ["drips"] * 50
    with pytest.raises(StageError, match="less than 1000 bytes a second"):
        download([file], tmp_path, impatience)
    assert len(site.requests) == 2 + impatience.fruitless_rounds


@pytest.mark.parametrize(
    "faults",
    [
        ["500"],
        ["503", "429"],
        ["HTML"],
        ["HTML as a file"],
        ["silent"],
        ["hangs up"],
        ["other content", "truncates", "other content"],
        ["truncates", "ignores Range"],
        ["truncates", "HTML"],
        ["truncates", "wrong part"],
        ["truncates", "too long"],
        ["declares half"],
    ],
    ids="+".join,
)
def test_a_server_that_recovers_gives_the_file(file, site, tmp_path, faults):
    other_name = f"{site.address.replace('127.0.0.1', 'localhost')}/corpus.bin"
    site.faults = faults
    patience = IMPATIENCE if "silent" in faults else PATIENCE
    path = download([replace(file, addresses=(*file.addresses, other_name))], tmp_path, patience)
    assert path.read_bytes() == CONTENT
    assert left_over(tmp_path) == {"corpus.bin"}


@pytest.mark.parametrize("seed", range(12))
def test_any_series_of_faults_ends_in_the_right_bytes(file, site, tmp_path, seed):
    rng = random.Random(seed)
    kinds = ["500", "HTML", "hangs up", "truncates", "ignores Range", "wrong part", "declares half"]
    site.faults = rng.choices(kinds, k=8)
    patience = replace(PATIENCE, fruitless_rounds=9)
    assert download([file], tmp_path, patience).read_bytes() == CONTENT


def test_html_does_not_cost_what_was_received(file, site, tmp_path):
    site.faults = ["truncates", "HTML"]
    download([file], tmp_path, PATIENCE)
    assert site.requests[-1] == ("/corpus.bin", "bytes=350000-")


def test_addresses_are_tried_in_order_and_a_missing_file_is_asked_for_once(file, site, tmp_path):
    site.faults = ["", "500", "truncates"]
    addresses = (f"{site.address}/absent.bin", *file.addresses)
    assert download([replace(file, addresses=addresses)], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert [path for path, _ in site.requests] == ["/absent.bin"] + ["/corpus.bin"] * 3


def test_wrong_bytes_of_an_earlier_run_are_not_kept(file, site, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(b"\0" * 1000)
    assert download([file], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert [byte_range for _, byte_range in site.requests] == ["bytes=1000-", None]


@pytest.mark.parametrize("excess", [0, 1], ids=["complete", "too long"])
def test_a_partial_file_of_full_length_needs_no_byte_more(file, site, tmp_path, excess):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT + b"x" * excess)
    assert download([file], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert len(site.requests) == 2 * excess


def test_a_damaged_file_is_fetched_again(file, tmp_path):
    (tmp_path / "corpus.bin").write_bytes(CONTENT[:-1] + b"?")
    assert download([file], tmp_path, PATIENCE).read_bytes() == CONTENT


def test_bytes_are_stored_as_sent(file, site, tmp_path):
    site.headers = {"Content-Encoding": "gzip"}  # some servers say so of any .gz
    assert download([file], tmp_path, PATIENCE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "reason", "requests"),
    [
        ("500", "HTTP 500", 3),
        ("HTML", "an HTML page instead of the file", 3),
        ("silent", "stalled for 0.3 s", 3),
        ("other content", "its SHA-256 is", 1),
        ("too long", "sends more than 700000 bytes", 1),
        ("file scheme", "not http(s)", 3),
    ],
)
def test_a_server_that_never_recovers_is_named_with_its_reason(file, site, tmp_path, fault, reason, requests):
    site.faults = [fault] * 50
    with pytest.raises(StageError) as caught:
        download([file], tmp_path, IMPATIENCE if fault == "silent" else PATIENCE)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{site.address.removeprefix('http://')}: " in message
    assert reason in message
    assert len(site.requests) == requests
    assert left_over(tmp_path) == set()


def test_without_a_network_the_line_says_what_to_do(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}/corpus.bin"
        with pytest.raises(StageError) as caught:
            download([RemoteFile("corpus.bin", (nobody,), 1, "0")], tmp_path, PATIENCE)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("corpus.bin", "no connection", "set mirror", "profile: sample"):
        assert part in message
    assert "secret" not in message
    assert caught.value.exit_code == 1


def test_the_next_offer_follows_where_the_first_cannot_be_had(file, site, tmp_path):
    absent = RemoteFile("absent.bin", (f"{site.address}/absent.bin",), 1, "0")
    assert download([absent, file], tmp_path, PATIENCE).name == "corpus.bin"
    del site.files["/corpus.bin"]
    assert download([absent, file], tmp_path, PATIENCE).name == "corpus.bin"
    assert [path for path, _ in site.requests] == ["/absent.bin", "/corpus.bin"]


def test_an_unpinned_file_is_whole_or_absent(file, site, tmp_path):
    unpinned = replace(file, size_bytes=None, sha256=None)
    site.faults = ["truncates"] * 3
    assert download([unpinned], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert len(site.requests) == 4


def test_what_no_digest_is_known_of_is_never_put_together_from_two_versions(file, site, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(b"what it held yesterday" * 1000)
    assert download([replace(file, size_bytes=None, sha256=None)], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert site.requests == [("/corpus.bin", None)]


def test_a_folder_that_cannot_be_written_is_named(file, tmp_path):
    (tmp_path / "downloads").write_text("a file in the way")
    with pytest.raises(StageError, match=r"cannot write .*downloads"):
        download([file], tmp_path / "downloads", PATIENCE)


def test_processes_that_want_the_same_file_fetch_it_once(file, site, tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=download, args=([file], tmp_path, PATIENCE)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0] * 4
    assert site.requests == [("/corpus.bin", None)]
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT


def test_a_killed_download_is_resumed_and_leaves_no_lock(file, site, tmp_path):
    site.faults = ["stalls"]
    patient = replace(PATIENCE, read_seconds=30)
    process = multiprocessing.get_context("fork").Process(target=download, args=([file], tmp_path, patient))
    process.start()
    part = tmp_path / "corpus.bin.part"
    deadline = time.monotonic() + 10
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.join(10)
    received = part.stat().st_size
    assert 0 < received < len(CONTENT)
    assert not (tmp_path / "corpus.bin").exists()
    assert download([file], tmp_path, PATIENCE).read_bytes() == CONTENT
    assert site.requests[-1] == ("/corpus.bin", f"bytes={received}-")


def test_mirror_is_a_folder_an_address_or_nothing(tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "b.txt").write_text("b")
    folder = Mirror.parse("copies", tmp_path)
    assert folder.find("a.txt", "b.txt") == tmp_path / "copies" / "b.txt"
    assert folder.find("a.txt") is None
    assert folder.addresses("a.txt") == ()
    for scheme in ("https", "HTTPS"):
        address = Mirror.parse(f"{scheme}://example.org/data/", tmp_path)
        assert address.addresses("a b.txt") == (f"{scheme}://example.org/data/a%20b.txt",)
    assert address.find("b.txt") is None
    assert Mirror.parse("", tmp_path) == Mirror()


@pytest.mark.parametrize(
    "text",
    [
        "absent",
        "file:///etc",
        "https://",
        "https://example.org/?file=",
        "https://example.org/ a",
        "~nosuchuser/x",
        "a\0b",
        "x" * 5000,
        "a\nb",
        "ftp://user:secret@example.org/",
        "https://user:secret@example.org/",
        "HTTP://user:se/cret@example.org/",
        "https://user:s#ec?r@e/t@example.org/",
    ],
)
def test_any_other_mirror_is_refused_in_one_line(text, tmp_path):
    with pytest.raises(InputError, match=r"^mirror: [^\n]*$") as caught:
        Mirror.parse(text, tmp_path)
    said = str(caught.value)
    assert len(said) < 600
    assert not [part for part in ("user:", "secret", "cret", "s#ec", "e/t") if part in said]


def test_a_password_comes_by_the_environment_alone_and_never_goes_further(file, site, tmp_path, monkeypatch, capsys):
    with_password = site.address.replace("http://", "http://user:se%2Fcret@")
    monkeypatch.setenv("LSTM_VS_GRU_MIRROR", with_password)
    mirror = Mirror.chosen("", tmp_path)
    download([replace(file, addresses=mirror.addresses("corpus.bin"))], tmp_path, PATIENCE)
    with pytest.raises(StageError) as failed:
        download([replace(file, name="b", addresses=mirror.addresses("absent.bin"))], tmp_path, PATIENCE)
    assert "cret" not in str(failed.value) + capsys.readouterr().err
    monkeypatch.setenv("LSTM_VS_GRU_MIRROR", "https://user:se/cret@example.org/")
    with pytest.raises(InputError, match="%2F") as refused:
        Mirror.chosen("", tmp_path)
    assert "cret" not in str(refused.value)
    (tmp_path / "copies").mkdir()
    assert Mirror.chosen("copies", tmp_path).folder == tmp_path / "copies"  # params.yaml goes first
