"""Which engine is taken, and how a broken one is replaced: with small programs that tell a version."""

import os
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi import engine
from orchestrator.domain.errors import OrchestratorError

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
        engine.find(environ)
    assert caught.value.code == "E101"
    places = {
        "cache": engine.cache(environ) / "pulumi",
        "Pulumi's home": tmp_path / ".pulumi/bin/pulumi",
        "PATH": tmp_path / "bin/pulumi",
    }
    for source, path in places.items():
        _telling(path, engine.VERSION)
        assert engine.find(environ) == engine.Engine(path, engine.VERSION, source)
    named = _telling(tmp_path / "mine", "v3.226.1")
    assert engine.find({**environ, "ORCHESTRATOR_PULUMI": str(named)}).source == "named"


def test_engines_that_are_passed_over(environ: dict[str, str], tmp_path: Path) -> None:
    """An engine that is too old, or does not tell its version, is passed over for the next, and named when none is left."""
    _telling(tmp_path / "bin/pulumi", "v3.226.0")
    _program(tmp_path / ".pulumi/bin/pulumi", "#!/bin/sh\nexit 1\n")
    with pytest.raises(OrchestratorError) as caught:
        engine.find(environ)
    assert "v3.226.0" in caught.value.message
    assert ".pulumi/bin/pulumi is of an unknown version" in caught.value.message
    versions = tmp_path / ".pulumi/versions/3.300.0/bin/pulumi"
    _telling(versions, "v3.300.0")
    assert engine.find(environ).path == versions
    with pytest.raises(OrchestratorError):
        engine.find({**environ, "ORCHESTRATOR_PULUMI": str(tmp_path / "nothing")})


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 1\n", "not a program", "#!/bin/sh\necho v3.1.0\n", None])
def test_a_broken_engine_in_the_cache_is_replaced(environ: dict[str, str], tmp_path: Path, broken: str | None) -> None:
    """Installing puts a new engine where the cached one cannot be used, and leaves nothing else behind."""
    _program(tmp_path / "bin/go", GO)
    if broken is not None:
        _program(engine.cache(environ) / "pulumi", broken)
    said: list[str] = []
    found = engine.install(environ, said.append, "source")
    assert (found.version, found.path) == ("v3.259.0", engine.cache(environ) / "pulumi")
    assert {path.name for path in engine.cache(environ).parent.iterdir()} == {".lock", engine.VERSION}
    assert any(line.startswith("the build: took") for line in said)


def test_a_good_engine_in_the_cache_stays(environ: dict[str, str], tmp_path: Path) -> None:
    """A cached engine that can be used is not built again, unless that is forced."""
    _program(tmp_path / "bin/go", GO)
    for force, builds in ((False, 2), (False, 2), (True, 4)):
        engine.install(environ, lambda _: None, "source", force=force)
        assert len((tmp_path / "builds").read_text().split()) == builds


def test_a_build_that_fails_leaves_the_old_one(environ: dict[str, str], tmp_path: Path) -> None:
    """When an engine cannot be built, the error says why, and what was in the cache is still there."""
    _program(tmp_path / "bin/go", '#!/bin/sh\n[ "$1" = env ] && echo go1.99.0 && exit 0\necho no network >&2; exit 1\n')
    old = _telling(engine.cache(environ) / "pulumi", "v3.259.0")
    with pytest.raises(OrchestratorError) as caught:
        engine.install(environ, lambda _: None, "source", force=True)
    assert (caught.value.code, "no network" in caught.value.message) == ("E103", True)
    assert engine.find(environ).path == old
