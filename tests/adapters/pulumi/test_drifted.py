"""Resources that somebody has changed by hand, found by a refresh that writes nothing."""

from pathlib import Path

import pytest

from . import conftest
from .conftest import SECRET, Stage

pytestmark = pytest.mark.engines

READ = """
    def read(self, id, props):
        from pulumi.dynamic import ReadResult
        if not os.path.exists(id):
            return ReadResult(None, {})
        return ReadResult(id, {**props, "text": open(id).read()})

    def update(self"""


@pytest.mark.long
def test_what_a_hand_has_changed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource that is another is named with the property that differs, one that is gone as gone; the state stays as it was, and no secret is told."""
    monkeypatch.setattr(conftest, "PROGRAM", conftest.PROGRAM.replace("\n    def update(self", READ))
    stage = Stage(tmp_path)
    assert stage.up().result.good
    try:
        base = stage.provisioner.state_digest(stage.spec())
        assert stage.provisioner.drifted(stage.spec(), "look-1", stage.entries.append) == ()
        (stage.things / "web1").write_text("edited")
        (stage.things / "web2").unlink()
        found = stage.provisioner.drifted(stage.spec(), "look-2", stage.entries.append)
        named = [(change.op, change.name, change.properties) for change in found]
        assert named == [("update", "web1", ("text",)), ("delete", "web2", ())]
        assert stage.provisioner.state_digest(stage.spec()) == base
        assert (stage.things / "web1").read_text() == "edited"
        assert SECRET not in stage.written()
    finally:
        stage.provisioner.destroy(stage.spec(), "end", stage.entries.append)


def test_what_defines_a_stack_is_described(tmp_path: Path) -> None:
    """The program's files are told by digest and the configuration by its keys; names of project and stack make no difference, and a value none either."""
    stage = Stage(tmp_path)
    found = stage.provisioner.described(stage.spec())
    assert set(found.files) == {"Pulumi.yaml", "__main__.py"}
    assert found.config == ("folder", "names", "text")
    (stage.folder / "Pulumi.yaml").write_text("name: other\ndescription: Another one\nruntime: python\n")
    (stage.folder / "Pulumi.staging.yaml").write_text("config:\n  other:text: bye\n")
    assert stage.provisioner.described(stage.spec()) == found
    (stage.folder / "__main__.py").write_text("")
    (stage.folder / "Pulumi.staging.yaml").write_text("config:\n  other:zone: eu\n")
    other = stage.provisioner.described(stage.spec())
    assert other.files["__main__.py"] != found.files["__main__.py"]
    assert other.config == ("folder", "names", "zone")
