"""Which engine is taken, and how a broken one is replaced: with small programs that tell a version."""

import contextlib
import functools
import hashlib
import io
import os
import shutil
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi import engine, engine_archive
from orchestrator.cli import main
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.vendor_archive import VendorArchive

GO = """#!/bin/sh
# builds by writing a program that tells a version, as far as the installation asks for it
case "$1" in
env) echo go1.99.0 ;;
mod) mkdir -p "$PWD/sdk/python/cmd" "$PWD/sdk/python/dist"
     touch "$PWD/sdk/python/cmd/pulumi-language-python-exec" "$PWD/sdk/python/dist/pulumi-resource-pulumi-python"
     echo "{\\"Dir\\": \\"$PWD/sdk\\"}" ;;
build) while [ "$1" != -o ]; do shift; done
       printf '#!/bin/sh\\necho v3.259.0\\n' > "$2"; chmod +x "$2"; echo built >> "$HOME/builds" ;;
esac
"""


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _telling(path: Path, version: str) -> Path:
    return _program(path, f"#!/bin/sh\necho {version}\n")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user without any engine, in folders of their own."""
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:{os.defpath}"}


def test_the_order_in_which_engines_are_looked_for(environ: dict[str, str], tmp_path: Path) -> None:
    """The named one comes first, then the one on PATH, in Pulumi's home, in our cache; each once the others are gone."""
    with pytest.raises(OrchestratorError) as caught:
        engine.find_engine(environ)
    assert caught.value.code == "E101"
    places = {
        "cache": engine.engine_cache(environ) / "pulumi",
        "Pulumi's home": tmp_path / ".pulumi/bin/pulumi",
        "PATH": tmp_path / "bin/pulumi",
    }
    for source, path in places.items():
        _telling(path, engine.VERSION)
        assert engine.find_engine(environ) == engine.Engine(path, engine.VERSION, source)
    named = _telling(tmp_path / "mine", "v3.226.1")
    assert engine.find_engine({**environ, "ORCHESTRATOR_PULUMI": str(named)}).source == "named"


def test_engines_that_are_passed_over(environ: dict[str, str], tmp_path: Path) -> None:
    """An engine that is too old, or does not tell its version, is passed over for the next, and named when none is left."""
    _telling(tmp_path / "bin/pulumi", "v3.226.0")
    _program(tmp_path / ".pulumi/bin/pulumi", "#!/bin/sh\nexit 1\n")
    with pytest.raises(OrchestratorError) as caught:
        engine.find_engine(environ)
    assert "v3.226.0" in caught.value.message
    assert ".pulumi/bin/pulumi is of an unknown version" in caught.value.message
    versions = tmp_path / ".pulumi/versions/3.300.0/bin/pulumi"
    _telling(versions, "v3.300.0")
    assert engine.find_engine(environ).path == versions
    with pytest.raises(OrchestratorError):
        engine.find_engine({**environ, "ORCHESTRATOR_PULUMI": str(tmp_path / "nothing")})


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 1\n", "not a program", "#!/bin/sh\necho v3.1.0\n", None])
def test_a_broken_engine_in_the_cache_is_replaced(environ: dict[str, str], tmp_path: Path, broken: str | None) -> None:
    """Installing puts a new engine where the cached one cannot be used, and leaves nothing else behind."""
    _program(tmp_path / "bin/go", GO)
    if broken is not None:
        _program(engine.engine_cache(environ) / "pulumi", broken)
    said: list[str] = []
    found = engine.install_engine(environ, said.append)
    assert (found.version, found.path) == ("v3.259.0", engine.engine_cache(environ) / "pulumi")
    assert {path.name for path in engine.engine_cache(environ).parent.iterdir()} == {".lock", engine.VERSION}
    assert any(line.startswith("the build: took") for line in said)


def test_a_good_engine_in_the_cache_stays(environ: dict[str, str], tmp_path: Path) -> None:
    """A cached engine that can be used is not built again, unless that is forced."""
    _program(tmp_path / "bin/go", GO)
    for force, builds in ((False, 2), (False, 2), (True, 4)):
        engine.install_engine(environ, lambda _: None, force=force)
        assert len((tmp_path / "builds").read_text().split()) == builds


def test_a_build_that_fails_leaves_the_old_one(environ: dict[str, str], tmp_path: Path) -> None:
    """When an engine cannot be built, the error says why, and what was in the cache is still there."""
    _program(tmp_path / "bin/go", '#!/bin/sh\n[ "$1" = env ] && echo go1.99.0 && exit 0\necho no network >&2; exit 1\n')
    old = _telling(engine.engine_cache(environ) / "pulumi", "v3.259.0")
    with pytest.raises(OrchestratorError) as caught:
        engine.install_engine(environ, lambda _: None, force=True)
    assert (caught.value.code, "no network" in caught.value.message) == ("E103", True)
    assert engine.find_engine(environ).path == old


# -- digests of what is fetched


def archive(folder: Path, files: dict[str, bytes], name: str = "") -> tuple[Path, str]:
    """An archive as the vendor makes them, and its SHA-256."""
    path = folder / (name or f"pulumi-{engine.VERSION}-{engine_archive.machine()}.tar.gz")
    with tarfile.open(path, "w:gz") as made:
        for member, data in files.items():
            info = tarfile.TarInfo(member)
            info.size, info.mode = len(data), 0o755
            made.addfile(info, io.BytesIO(data))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


PROGRAM = f"#!/bin/sh\necho {engine.VERSION}\n".encode()
VENDOR = {
    "pulumi/pulumi": PROGRAM,
    "pulumi/pulumi-language-python": PROGRAM,
    "other/x": b"",
    "pulumi/deep/x": b"",
    "x": b"",
}


def test_the_vendor_s_archive_needs_its_digest(environ: dict[str, str], tmp_path: Path) -> None:
    """With the digest that is given its programs are installed, and nothing else of it; with another one nothing is."""
    file, digest = archive(tmp_path, VENDOR)
    with pytest.raises(OrchestratorError) as caught:
        engine.install_engine(environ, lambda _: None, VendorArchive("0" * 64, file))
    assert (caught.value.code, digest in caught.value.message) == ("E103", True)
    assert not engine.engine_cache(environ).exists()
    found = engine.install_engine(environ, lambda _: None, VendorArchive(digest.upper(), file))
    assert found.path == engine.engine_cache(environ) / "pulumi"
    assert {path.name for path in engine.engine_cache(environ).iterdir()} == {"pulumi", "pulumi-language-python"}


def test_the_vendor_s_archive_is_downloaded_and_compared(tmp_path: Path) -> None:
    """From the address of this version and machine; an answer that is no archive, or none at all, is E103."""
    (tmp_path / "site").mkdir()
    file, digest = archive(tmp_path / "site", VENDOR)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            base = f"http://127.0.0.1:{http.server_address[1]}"
            for sha256, good in ((digest, True), ("0" * 64, False)):
                target = tmp_path / sha256
                target.mkdir()
                with contextlib.nullcontext() if good else pytest.raises(OrchestratorError):
                    engine_archive.unpack_engine(VendorArchive(sha256), engine.VERSION, target, lambda _: None, base)
                assert (target / "pulumi").exists() is good
            file.write_bytes(b"not an archive")
            for sha256 in (hashlib.sha256(b"not an archive").hexdigest(), digest):
                with pytest.raises(OrchestratorError) as caught:
                    engine_archive.unpack_engine(VendorArchive(sha256), "v0", tmp_path, lambda _: None, base)
                assert caught.value.code == "E103"
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.parametrize("files", [{}, {"pulumi": PROGRAM}, {"../pulumi": PROGRAM}, {"pulumi/other": PROGRAM}])
def test_an_archive_without_an_engine_is_refused(
    environ: dict[str, str], tmp_path: Path, files: dict[str, bytes]
) -> None:
    """Names that lead elsewhere are not unpacked."""
    file, digest = archive(tmp_path, files, "x.tar.gz")
    with pytest.raises(OrchestratorError) as caught:
        engine.install_engine(environ, lambda _: None, VendorArchive(digest, file))
    assert caught.value.code == "E103"
    assert not engine.engine_cache(environ).exists()


@pytest.mark.parametrize("words", [
    ["--from", "installer"], ["--from", "installer", "--sha256", "abc"], ["--sha256", "0" * 64], ["--archive", "/dev/null"],
    ["--from", "any"],
])  # fmt: skip
def test_the_vendor_s_archive_is_never_the_default(words: list[str]) -> None:
    """It is used with `--from installer --sha256 HEX`, and not otherwise."""
    assert main(["engine", "install", "--yes", *words]) == 2


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go")
def test_a_module_with_another_digest_is_not_built(tmp_path: Path) -> None:
    """Go compares each module with `go.sum`, whatever the variables of the machine say."""
    proxy, source = tmp_path / "proxy/example.org/m/@v", tmp_path / "source"
    proxy.mkdir(parents=True)
    source.mkdir()
    (proxy / "list").write_text("v1.0.0\n")
    (proxy / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (proxy / "v1.0.0.mod").write_text("module example.org/m\n")
    with zipfile.ZipFile(proxy / "v1.0.0.zip", "w") as module:
        module.writestr("example.org/m@v1.0.0/m.go", "package m\n")
        module.writestr("example.org/m@v1.0.0/go.mod", "module example.org/m\n")
    (source / "go.mod").write_text("module x\n\ngo 1.21\n\nrequire example.org/m v1.0.0\n")
    (source / "m.go").write_text('package x\n\nimport _ "example.org/m"\n')
    lax = {
        **os.environ, "GOPROXY": f"file://{tmp_path}/proxy", "GONOSUMDB": "*", "GONOSUMCHECK": "1", "GOFLAGS": "-mod=mod",
        "GOMODCACHE": str(tmp_path / "cache"), "GOSUMDB": "off",
    }  # fmt: skip
    env = engine._go_environment({**lax, "GOFLAGS": "-mod=mod -modcacherw"})
    env["GOFLAGS"] += " -modcacherw"
    with pytest.raises(OrchestratorError, match=r"missing go\.sum entry|go mod download failed|go list failed"):
        engine._go("go", source, env, ["list", "-deps", "."])
    (source / "go.sum").write_text(f"example.org/m v1.0.0 h1:{'A' * 43}=\nexample.org/m v1.0.0/go.mod h1:{'A' * 43}=\n")
    with pytest.raises(OrchestratorError) as caught:
        engine._go("go", source, env, ["mod", "download", "-json", "example.org/m@v1.0.0"])
    assert caught.value.code == "E103"
