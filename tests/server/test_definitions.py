"""Project definitions: pushed into a folder that has no other files, listed, made current, and used."""

import io
import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from orchestrator.adapters.archive import definition_cache
from orchestrator.adapters.archive.project_definition import read_definition, unpack_project
from orchestrator.adapters.archive.sealed import END, MANIFEST, Member, write_member
from orchestrator.app import access, people
from orchestrator.cli import main
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.project_definition import DefinitionManifest
from orchestrator.domain.release import PackageFile
from orchestrator.domain.uploads import UploadPart
from orchestrator.machine_wiring import RealDefinitionSealer
from orchestrator.trees import discard
from orchestrator.wiring import App, open_app
from tests.server.test_uploads import end_together, write

PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n"
ENVIRONMENT = """apiVersion: orchestrator/v1
kind: Environment
name: {name}
description: {text}
program: null
inventory: {{files: [environments/{name}/hosts.ini]}}
ansible: {{vault_ids: [main@secrets/vault.txt]}}
"""
KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU" * 8
    + "\n-----END OPENSSH PRIVATE KEY-----\n"
)
Say = Callable[..., tuple[int, str, str]]


def sources(root: Path, text: str = "one") -> Path:
    """A project with one environment, whose vault password is a file of its own."""
    write(
        root,
        {
            "orchestrator.yaml": PROJECT,
            "environments/staging/environment.yaml": ENVIRONMENT.format(name="staging", text=text),
        },
    )
    write(
        root,
        {
            "environments/staging/hosts.ini": "web1\n",
            "secrets/vault.txt": "a password\n",
            "dist/shop-1.0.0.release": "x",
        },
    )
    return root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server, which has nothing but where it keeps its records."""
    for name in ("STORE", "STATE", "ARTIFACTS", "TOKEN", "SERVER", "PROFILE"):
        monkeypatch.delenv(f"ORCHESTRATOR_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "home", {"orchestrator.yaml": PROJECT + "definition: pushed\n"})
    return tmp_path / "home"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], home: Path) -> Say:
    """Run a command in the folder of the server: its exit status, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["-C", str(home), *words])
        printed = capsys.readouterr()
        return int(code), printed.out, printed.err

    return run


def sealed(root: Path, tmp_path: Path) -> tuple[str, bytes]:
    """The digest of the definition of the project at *root*, and its archive."""
    made = RealDefinitionSealer().seal(root, tmp_path / "sealed")
    return made.digest, Path(made.file).read_bytes()


def put(app: App, digest: str, data: bytes) -> object:
    """Upload *data* as the definition *digest*, in one part."""
    return app.definitions.definition_part(app.actor, digest, UploadPart(0, len(data), len(data)), data)


def test_a_definition_is_pushed_listed_and_undone(say: Say, tmp_path: Path) -> None:
    """A push makes the files of a folder current, names what changed, does nothing without changes, and can be undone."""
    root = sources(tmp_path / "source")
    assert say("project", "definitions")[1] == "no definitions; push one with: orchestrator project push\n"
    assert say("environment", "list")[1].find("staging") < 0
    code, out, _ = say("project", "push", str(root), "-m", "the first")
    assert (code, out.splitlines()[-1].split(": ")[1]) == (0, "3 added, 0 changed, 0 removed"), out
    assert "staging" in say("environment", "list")[1]
    assert say("project", "push", str(root))[1].startswith("unchanged: ")
    sources(root, "two")
    write(root, {"environments/staging/group_vars/all.yml": "port: 80\n"})
    code, out, _ = say("project", "push", str(root), "-m", "the second", "--json")
    second = json.loads(out)
    assert (second["added"], second["changed"], second["removed"]) == (
        ["environments/staging/group_vars/all.yml"],
        ["environments/staging/environment.yaml"],
        [],
    )
    first = second["before"]
    assert json.loads(say("environment", "show", "staging", "--json")[1])["environment"]["description"] == "two"
    assert say("project", "use", first[7:19], "-m", "undo")[0] == 0
    assert json.loads(say("environment", "show", "staging", "--json")[1])["environment"]["description"] == "one"
    listed = json.loads(say("project", "definitions", "--json")[1])["definitions"]
    assert [(each["digest"] == first, each["is_current"], each["message"]) for each in listed] == [
        (False, False, "the second"),
        (True, True, "undo"),
    ]
    assert say("project", "use", "ffffffff")[0] == 6


def test_credentials_are_never_in_a_definition(say: Say, tmp_path: Path) -> None:
    """A file with a password that settings name is left out and named, and a file with a key ends the push."""
    root = sources(tmp_path / "source")
    assert say("project", "push", str(root))[0] == 0
    shown = json.loads(say("project", "show", listed(say)[0], "--json")[1])
    assert [each["path"] for each in shown["files"]] == [
        "environments/staging/environment.yaml",
        "environments/staging/hosts.ini",
        "orchestrator.yaml",
    ]
    assert shown["credentials"] == ["secrets/vault.txt"]
    write(root, {"keys/id_ed25519": KEY})
    code, _, err = say("project", "push", str(root))
    assert (code, "N181" in err, "keys/id_ed25519:1" in err) == (2, True, True), err
    write(root, {".orchestratorignore": "keys/\n"})
    assert say("project", "push", str(root))[0] == 0


def listed(say: Say) -> list[str]:
    """The digests of the definitions that are kept, the newest first."""
    return [each["digest"] for each in json.loads(say("project", "definitions", "--json")[1])["definitions"]]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"environments/staging/environment.yaml": "kind: Environment\n"}, "F"),
        ({"orchestrator.yaml": PROJECT.replace("shop", "bank")}, "N182"),
        ({"orchestrator.yaml": PROJECT + "definition: pushed\n"}, "N183"),
        ({".orchestratorignore": "orchestrator.yaml\n"}, "P116"),
    ],
)
def test_a_folder_that_is_no_definition_of_the_project_is_not_pushed(
    say: Say, tmp_path: Path, files: dict[str, str], code: str
) -> None:
    """Wrong files, another project, a folder without a definition and an ignored settings file end the push."""
    root = sources(tmp_path / "source")
    write(root, files)
    status, _, err = say("project", "push", str(root))
    assert (status != 0, code in err, listed(say)) == (True, True, []), err


def test_a_project_with_its_own_files_takes_no_definition(say: Say, home: Path, tmp_path: Path) -> None:
    """A push to a project that uses the files in its folder ends with N184, and nothing is kept."""
    root = sources(tmp_path / "source")
    (home / "orchestrator.yaml").write_text(PROJECT)
    code, _, err = say("project", "push", str(root))
    assert (code, "N184" in err) == (3, True), err
    assert open_app(home).definition_archives.digests() == frozenset()


def test_links_stay_in_the_project(tmp_path: Path) -> None:
    """A link inside the project is in its definition as a link, and one that leads out of it ends the push."""
    root = sources(tmp_path / "source")
    (root / "environments/staging/more.ini").symlink_to("hosts.ini")
    made = RealDefinitionSealer().seal(root, tmp_path / "sealed").manifest
    assert [each.link for each in made.files if each.path.endswith("more.ini")] == ["hosts.ini"]
    (root / "environments/staging/out.ini").symlink_to("../../../outside.ini")
    with pytest.raises(OrchestratorError) as found:
        RealDefinitionSealer().seal(root, tmp_path / "sealed")
    assert found.value.code == "P103"


def test_the_same_files_have_the_same_digest(tmp_path: Path) -> None:
    """Two folders with the same files give the same archive byte for byte, whatever their times and modes are."""
    one, two = sources(tmp_path / "one"), sources(tmp_path / "two")
    os.utime(two / "orchestrator.yaml", (1, 1))
    (two / "orchestrator.yaml").chmod(0o600)
    assert sealed(one, tmp_path) == sealed(two, tmp_path)


def test_of_two_pushers_the_second_one_is_refused(say: Say, home: Path, tmp_path: Path) -> None:
    """A push that was begun before another one ended does not replace it: N145 names who was faster."""
    say("project", "push", str(sources(tmp_path / "source")))
    app = open_app(home)
    seen = app.definitions.current(app.actor)
    assert seen is not None
    ours, theirs = (sealed(sources(tmp_path / name, name), tmp_path) for name in ("ours", "theirs"))
    for digest, data in (ours, theirs):
        put(app, digest, data)
    app.definitions.make_current(app.actor, theirs[0], seen.digest)
    with pytest.raises(OrchestratorError) as found:
        app.definitions.make_current(app.actor, ours[0], seen.digest)
    assert found.value.code == "N145"
    current = app.definitions.current(app.actor)
    assert (current and current.digest, app.definition) == (theirs[0], theirs[0])


def test_a_push_needs_its_right_and_is_recorded(home: Path, tmp_path: Path) -> None:
    """A platform engineer may push, a release manager may not, and the audit stream has who made it current, and why."""
    app = open_app(home)
    digest, data = sealed(sources(tmp_path / "source"), tmp_path)
    people.add_user(app.acting, User(name="root"))
    access.grant(app.acting, Binding(role="administrator", to="user:root"))
    root = app.acting_as(Actor(name="root"))
    for name, role in (("pat", "platform-engineer"), ("rita", "release-manager")):
        people.add_user(root, User(name=name))
        access.grant(root, Binding(role=role, to=f"user:{name}"))
    with pytest.raises(OrchestratorError) as found:
        app.definitions.definition_part(Actor(name="rita"), digest, UploadPart(0, len(data), len(data)), data)
    assert found.value.code == "A101"
    app.definitions.definition_part(Actor(name="pat"), digest, UploadPart(0, len(data), len(data)), data)
    app.definitions.make_current(Actor(name="pat"), digest, "", "the first")
    entries = app.register.reading(lambda it: it.audit())
    found_entries = [each for each in entries if each.action == "project:push" and each.outcome != "denied"]
    assert [(str(each.actor), each.object, each.detail.get("event"), each.reason) for each in found_entries] == [
        ("pat", f"project-definition:{digest}", "push", ""),
        ("pat", f"project-definition:{digest}", "use", "the first"),
    ]


def test_clients_that_end_one_upload_get_the_same_definition(home: Path, tmp_path: Path) -> None:
    """Of three clients that send the last part at once each gets the definition, and no file of the upload stays."""
    digest, data = sealed(sources(tmp_path / "mine"), tmp_path)
    app = open_app(home)
    half = len(data) // 2
    app.definitions.definition_part(app.actor, digest, UploadPart(0, half, len(data)), data[:half])
    last = UploadPart(half, len(data), len(data))
    others = [open_app(home) for _ in range(3)]
    made = end_together(
        *(partial(each.definitions.definition_part, each.actor, digest, last, data[half:]) for each in others)
    )
    assert [getattr(each, "digest", each) for each in made] == [digest] * 3
    assert [each.digest for each in app.definitions.kept(app.actor).items] == [digest]
    assert list((app.state / "uploads").iterdir()) == []


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_an_archive_that_was_changed_is_refused(home: Path, tmp_path: Path) -> None:
    """An upload with one changed byte anywhere, with other content or under another digest is refused and not kept."""
    app = open_app(home)
    digest, data = sealed(sources(tmp_path / "source"), tmp_path)
    for place in range(0, len(data), 97):
        with pytest.raises((OrchestratorError, OrchestratorErrors)):
            put(app, digest, changed(data, place))
    for other in (b"", data[:-1], data + b"\0", b"\0" * 1024):
        with pytest.raises(OrchestratorError) as found:
            put(app, digest, other or b"x")
        assert found.value.code == "N180"
    with pytest.raises(OrchestratorError) as found:
        put(app, f"sha256:{'0' * 64}", data)
    assert found.value.code == "N143"
    assert (app.definition_archives.digests(), list((app.state / "uploads").iterdir())) == (frozenset(), [])


def hostile(name: str) -> bytes:
    """The manifest of a definition with a file called *name*."""
    listed = [
        PackageFile(path=each, size=0, sha256=sha256(b"").hexdigest()) for each in sorted(("orchestrator.yaml", name))
    ]
    return DefinitionManifest(project="shop", files=tuple(listed)).text


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "-x", ""])
def test_a_name_that_leads_out_of_the_project_is_refused(tmp_path: Path, name: str) -> None:
    """An archive whose manifest has a name that leads elsewhere is refused before any file is written."""
    text, file = hostile(name), tmp_path / "archive"
    with file.open("wb") as out:
        write_member(out, Member(MANIFEST, len(text), executable=False), io.BytesIO(text))
        out.write(END)
    with pytest.raises(OrchestratorError) as found:
        read_definition(file)
    assert found.value.code == "N180"


def test_an_unpacked_definition_is_compared_before_each_use(home: Path, say: Say, tmp_path: Path) -> None:
    """A file that was changed, added or removed in the cache is as it was sealed again when the definition is next used."""
    say("project", "push", str(sources(tmp_path / "source")))
    (home / "secrets").mkdir()
    (home / "secrets/vault.txt").write_text("of this machine")
    app = open_app(home)
    tree = app.root
    assert tree != home
    assert (tree / "secrets/vault.txt").read_text() == "of this machine"
    (tree / "environments/staging/hosts.ini").write_text("evil\n")
    (tree / "environments/staging/group_vars").mkdir()
    (tree / "environments/staging/group_vars/all.yml").write_text("evil: true\n")
    (tree / "orchestrator.yaml").unlink()
    again = open_app(home)
    assert again.root == tree
    assert (tree / "environments/staging/hosts.ini").read_text() == "web1\n"
    assert not (tree / "environments/staging/group_vars/all.yml").exists()
    assert (tree / "orchestrator.yaml").read_text() == PROJECT


def test_a_killed_fetch_leaves_nothing_that_is_used(
    home: Path, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `kill -9` in the middle of the unpacking, the next process unpacks the definition whole, and removes the rest."""
    say("project", "push", str(sources(tmp_path / "source")))
    folder = next((tmp_path / "cache/orchestrator/definitions").iterdir())
    for path in folder.iterdir():
        if path.is_dir():
            discard(path)
    before = unpack_project
    if (child := os.fork()) == 0:

        def killed(source: io.BytesIO, target: Path) -> DefinitionManifest:
            before(source, target)
            (target / "environments/staging/hosts.ini").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        monkeypatch.setattr(definition_cache, "unpack_project", killed)
        open_app(home)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    [left] = [path.name for path in folder.iterdir() if path.is_dir()]
    assert left.startswith(".unpacking-")
    app = open_app(home)
    assert (app.root / "environments/staging/hosts.ini").read_text() == "web1\n"
    assert [path.name for path in folder.iterdir() if path.is_dir()] == [app.definition[7:]]


def test_a_prune_removes_definitions_that_nothing_names(home: Path, say: Say, tmp_path: Path) -> None:
    """A definition that was replaced longer ago than the rule says goes with its archive and its files, unless a plan or a request names it."""
    (home / "orchestrator.yaml").write_text(PROJECT + "definition: pushed\n")
    for text in ("one", "two", "three"):
        root = sources(tmp_path / "source", text)
        write(root, {"orchestrator.yaml": PROJECT + "retention: {runs: 1s}\n"})
        say("project", "push", str(root))
    third, second, first = listed(say)
    write(home / f".orchestrator/plans/{'1' * 64}", {"plan.json": json.dumps({"project_definition": second})})
    time.sleep(1.2)
    assert json.loads(say("prune", "--dry-run", "--json")[1])["definitions"] == [first]
    assert listed(say) == [third, second, first]
    assert say("prune")[0] == 0
    assert (listed(say), open_app(home).definition_archives.digests()) == ([third, second], frozenset({third, second}))
    unpacked = next((tmp_path / "cache/orchestrator/definitions").iterdir())
    assert {path.name for path in unpacked.iterdir() if path.is_dir()} == {third[7:], second[7:]}
