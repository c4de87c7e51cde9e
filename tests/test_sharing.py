"""What one clone has trained another need not: over a folder, and over a store that speaks S3."""

import contextlib
import importlib.util
import shutil
import subprocess

import pytest

from tests.conftest import Clone
from tests.copies import digests

LACKING = [name for name in ("moto", "dvc_s3") if importlib.util.find_spec(name) is None]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.skipif(bool(LACKING), reason=f"no {LACKING}"))])
def remote(request, tmp_path):
    """Tells a clone of an empty store, as docs/sharing.md says."""
    with contextlib.ExitStack() as stack:
        settings = {}
        place = str(tmp_path / "store")
        if request.param == "s3":
            import boto3
            from moto.server import ThreadedMotoServer

            server = ThreadedMotoServer(port=0, verbose=False)
            server.start()
            stack.callback(server.stop)
            settings = {"endpointurl": "http://{}:{}".format(*server.get_host_and_port())}
            settings |= {"access_key_id": "a", "secret_access_key": "b", "region": "eu-central-1"}
            client = boto3.client(
                "s3", endpoint_url=settings["endpointurl"], region_name="us-east-1", aws_access_key_id="a",
                aws_secret_access_key="b",
            )  # fmt: skip
            client.create_bucket(Bucket="lab")
            place = "s3://lab/lstm-vs-gru"

        def add(clone):
            clone.run("dvc", "remote", "add", "--local", "--default", "store", place)
            for name, value in settings.items():
                clone.run("dvc", "remote", "modify", "--local", "store", name, value)

        yield add


def test_a_second_clone_runs_nothing_and_gets_what_was_tried_with_other_parameters(clone, tmp_path, remote):
    remote(clone)
    try:
        clone.run("dvc", "push")
        second = Clone(tmp_path / "second")
        subprocess.run(["git", "clone", "--quiet", clone.folder, second.folder], check=True)
        remote(second)
        second.run("dvc", "pull")
        done = second.run("dvc", "repro")
        assert second.stages_run(done) == []
        assert second.run("git", "status", "--porcelain").stdout == ""
        assert digests(second.folder / "models") == digests(clone.folder / "models")

        clone.run("dvc", "exp", "run", "-S", "dropout=0.3", "headline@imdb")
        tried = digests(clone.folder / "models/imdb/lstm")
        clone.run("dvc", "push", "--run-cache")
        second.run("dvc", "pull", "--run-cache")
        second.edit("params.yaml", "\ndropout: 0.5\n", "\ndropout: 0.3\n")
        done = second.run("dvc", "repro", "--pull", "headline@imdb")
        assert not [stage for stage in second.stages_run(done) if stage.startswith("train")]
        assert digests(second.folder / "models/imdb/lstm") == tried != digests(second.folder / "models/imdb/gru")
    finally:
        clone.reset()
        clone.run("dvc", "remote", "remove", "--local", "store")
        shutil.rmtree(tmp_path / "second", ignore_errors=True)
