"""The contract of the `Artifacts` port, kept by every place: a folder, a real S3 server, and memory."""

import hashlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orchestrator.adapters.artifacts.folder import FolderObjects
from orchestrator.adapters.artifacts.memory import MemoryObjects
from orchestrator.adapters.artifacts.objects import Objects
from orchestrator.adapters.artifacts.places import artifacts
from orchestrator.adapters.artifacts.s3 import BucketObjects
from orchestrator.adapters.artifacts.verified import VerifiedArtifacts
from orchestrator.domain.errors import OrchestratorError

SMALL = b"what a job has printed\n"
DIGEST = "sha256:" + hashlib.sha256(SMALL).hexdigest()
OTHER = "sha256:" + "b" * 64


@pytest.fixture(params=["memory", "folder", "s3", "s3 with a prefix"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """The same empty place, of each kind."""
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return FolderObjects(tmp_path / "shared")
    server = request.getfixturevalue("s3")
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    return BucketObjects(server.fresh(), "shop/one" if "prefix" in request.param else "")


@pytest.fixture
def place(objects: Objects) -> VerifiedArtifacts:
    return VerifiedArtifacts(objects)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Makes files."""
    made: list[Path] = []

    def make(content: bytes) -> Path:
        made.append(tmp_path / f"file-{len(made)}")
        made[-1].write_bytes(content)
        return made[-1]

    return make


def refused(code: str, work: Callable[[], object]) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as error:
        work()
    assert error.value.code == code, error.value
    return error.value


def test_content_comes_back_by_its_digest(
    place: VerifiedArtifacts, file: Callable[[bytes], Path], tmp_path: Path
) -> None:
    """What is put in is found again by its digest, byte for byte, also when it is empty or has twenty million bytes."""
    assert place.put(file(SMALL)) == DIGEST
    for content in (b"", SMALL, os.urandom(1000) * 20_000):
        place.get(place.put(file(content)), tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content


def test_content_is_written_once(
    monkeypatch: pytest.MonkeyPatch, objects: Objects, place: VerifiedArtifacts, file: Callable[[bytes], Path]
) -> None:
    """The same content again is not written again."""
    place.put(file(SMALL))
    written: list[str] = []

    def write(key: str, source: Path) -> None:
        del source
        written.append(key)

    monkeypatch.setattr(objects, "write", write)
    assert place.put(file(SMALL)) == DIGEST
    assert written == []


def test_what_is_missing_is_told(place: VerifiedArtifacts, tmp_path: Path) -> None:
    """A digest that was never put in is an error, and leaves no file behind."""
    refused("S146", lambda: place.get(DIGEST, tmp_path / "back"))
    assert place.named("packages/shop") is None
    assert place.names("") == []
    assert not (tmp_path / "back").exists()


def test_removed_content_is_gone(
    objects: Objects, place: VerifiedArtifacts, file: Callable[[bytes], Path], tmp_path: Path
) -> None:
    """Content that is removed is gone, other content stays, and a second removal changes nothing."""
    place.put(file(SMALL))
    other = place.put(file(SMALL.upper()))
    for _ in range(2):
        place.remove(DIGEST)
    refused("S146", lambda: place.get(DIGEST, tmp_path / "back"))
    place.get(other, tmp_path / "back")
    assert len(objects.keys("blobs/")) == 1


def test_damage_is_noticed(
    objects: Objects, place: VerifiedArtifacts, file: Callable[[bytes], Path], tmp_path: Path
) -> None:
    """Content that was changed is an error whoever reads it, no file comes of it, and content of a wrong size is written anew."""
    place.put(file(SMALL))
    (tmp_path / "back").write_bytes(b"before")
    key = objects.keys("blobs/")[0]
    objects.write(key, file(SMALL.upper()))
    error = refused("S145", lambda: place.get(DIGEST, tmp_path / "back"))
    assert key in error.message
    assert (tmp_path / "back").read_bytes() == b"before"
    objects.write(key, file(SMALL[:-1]))
    place.put(file(SMALL))
    place.get(DIGEST, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == SMALL
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_name_stays_with_what_it_led_to_first(
    objects: Objects, place: VerifiedArtifacts, file: Callable[[bytes], Path]
) -> None:
    """A name leads to a digest, and another digest for it changes nothing; a name that leads to no digest is damaged."""
    place.name("packages/shop/1.0.0+build/abc", DIGEST)
    place.name("packages/shop/1.0.0+build/abc", OTHER)
    assert place.named("packages/shop/1.0.0+build/abc") == DIGEST
    objects.write("names/plans/abc", file(b"sha256:"))
    refused("S145", lambda: place.named("plans/abc"))


def test_names_are_listed_by_their_beginning(place: VerifiedArtifacts) -> None:
    """Names are listed in order by how they begin, within a word as well, and more than a thousand of them."""
    for name in ("packages/shop/2", "packages/shop/1", "packages/shopping/1", "plans/abcd", "plans/abef"):
        place.name(name, DIGEST)
    assert place.names("packages/shop/") == ["packages/shop/1", "packages/shop/2"]
    assert place.names("packages/shop") == ["packages/shop/1", "packages/shop/2", "packages/shopping/1"]
    assert place.names("plans/ab") == ["plans/abcd", "plans/abef"]
    assert len(place.names("")) == 5
    assert place.names("nothing/") == []


def test_a_thousand_names_and_more(place: VerifiedArtifacts) -> None:
    """A listing goes on after the thousand that one answer of a server holds."""

    def name_many(first: int) -> None:
        for n in range(138):
            place.name(f"many/{first + n:04}", DIGEST)

    threads = [threading.Thread(target=name_many, args=[first]) for first in range(0, 1104, 138)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.names("many/") == [f"many/{n:04}" for n in range(1104)]


def test_several_write_the_same_at_once(
    place: VerifiedArtifacts, file: Callable[[bytes], Path], tmp_path: Path
) -> None:
    """When eight put the same content in at once, each is told its digest, and it is whole."""
    content = os.urandom(300_000)
    said: list[str] = []
    paths = [file(content) for _ in range(8)]
    threads = [threading.Thread(target=lambda path=path: said.append(place.put(path))) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.get(said[0], tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert len(said) == 8
    assert len(set(said)) == 1


def test_check_leaves_a_place_usable(place: VerifiedArtifacts) -> None:
    """Looking whether a place can be used does so twice over, and leaves no name there."""
    place.check()
    place.check()
    assert place.names("") == []


def test_a_place_is_a_folder_or_a_bucket(tmp_path: Path) -> None:
    """A path is a folder, `s3://` a bucket with or without a prefix, and anything else is refused without being repeated."""
    assert artifacts("/mnt/shared", tmp_path).where == "/mnt/shared"
    assert artifacts("../shared", tmp_path).where == str(tmp_path / "../shared")
    assert artifacts("s3://bucket", tmp_path).where == "s3://bucket"
    assert artifacts("s3://bucket/", tmp_path).where == "s3://bucket"
    assert artifacts("s3://bucket/a/b/", tmp_path).where == "s3://bucket/a/b"
    for text in (
        "",
        "s3://",
        "s3://key:secret@bucket/a",
        "https://secret.example.org",
        "S3://secret",
        "s3://secret/a?b",
    ):
        assert "secret" not in str(refused("S140", partial(artifacts, text, tmp_path)))
