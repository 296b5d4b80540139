"""No private key, token or password file goes into a package, unless the release names it with a reason."""

import io
import json
import site
import sysconfig
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.adapters.archive import key_scan
from orchestrator.adapters.archive.key_scan import Scan
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.archive.selection import secrets
from orchestrator.adapters.archive.tree import list_project
from orchestrator.cli import main
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.packing import KeyMaterial
from orchestrator.domain.release import Release

CORPUS = Path(__file__).parents[2] / "unchanged/projects"
SHARE = 0.01
PRIVATE = form.PrivateFormat.PKCS8


@pytest.fixture(scope="session")
def key() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1()).private_bytes(form.Encoding.PEM, PRIVATE, form.NoEncryption()).decode()
    )


def refused(shop: Any, **changes: object) -> list[OrchestratorError]:
    """The errors with which the build ends."""
    with pytest.raises((OrchestratorError, OrchestratorErrors)) as caught:
        shop.build(**changes)
    error: Any = caught.value
    errors: list[OrchestratorError] = list(error.errors) if isinstance(error, OrchestratorErrors) else [error]
    assert {error.code for error in errors} == {"P220"}
    assert not (shop.folder / "a.release").exists()
    return errors


def warned(shop: Any, **changes: object) -> list[OrchestratorError]:
    found: list[OrchestratorError] = []
    release = shop.release(**changes)
    shop.packages.build(shop.project, shop.source, release, shop.folder / "w.release", replace=True, warn=found.append)
    return found


def allowing(path: str) -> dict[str, object]:
    return {"package": {"key_material": [{"path": path, "reason": "a key for tests"}]}}


def tar(files: dict[str, str | bytes], mode: Literal["w:", "w:gz", "w:bz2", "w:xz"] = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(files: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def deb(files: dict[str, str | bytes]) -> bytes:
    """A package of Debian: an `ar` archive with archives."""
    members = {"debian-binary": b"2.0\n", "control.tar.xz": tar({"control": "x"}, "w:xz"), "data.tar.gz": tar(files)}
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        parts.append(
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    return b"".join(parts)


def test_key_material_ends_the_build(shop: Any, key: str) -> None:
    """Each finding has its file, its line, its kind and a remedy. Nothing is written, and no message has the value."""
    shop.files({"roles/web/files/server.key": "# ours\n" + key, ".env": "A=1\nDB_PASSWORD=hunter2\n"})
    shop.files({"playbooks/vault_pass.txt": "hunter2\n"})
    errors = refused(shop)
    assert [str(error.where) for error in errors] == [
        ".env:2",
        "playbooks/vault_pass.txt:1",
        "roles/web/files/server.key:2",
    ]
    assert errors[2].message == "roles/web/files/server.key has a private key (PEM)"
    text = "".join(f"{error} {error.hint}" for error in errors)
    assert 'key_material: [{path: "roles/web/files/server.key"' in text
    assert "hunter2" not in text
    assert key.splitlines()[1] not in text


def test_the_command_names_each_finding(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`build` ends with 3 and prints file and line; `package show` prints what was allowed, and why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    steps = {"steps": [{"name": "deploy", "playbook": "site.yml"}], "verify": [{"name": "smoke", "tests": "tests"}]}
    about = {"apiVersion": "orchestrator/v1", "kind": "Release", "name": "shop", "version": "1.0.0"}
    text = json.dumps({**about, **steps, "environments": ["staging"]})
    for name, content in {"release.yaml": text, "site.yml": "[]\n", "tests/test_x.py": "", "own.key": key}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert main(["build", "release.yaml"]) == 3
    assert "error[P220]: own.key has a private key (PEM)\n  --> own.key:1\n" in capsys.readouterr().err
    sealed = SealedPackages(tmp_path / "kept").build(
        tmp_path,
        tmp_path / "release.yaml",
        Release.from_json({**json.loads(text), **allowing("own.key")}),
        tmp_path / "a.release",
    )
    assert main(["package", "show", sealed.path]) == 0
    assert "key material: own.key (a key for tests)" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["roles/web/files/server.key", "roles/web/files", "roles/web/files/"])
def test_named_key_material_is_packed(shop: Any, key: str, path: str) -> None:
    """A file, or a folder with all files in it, that `release.yaml` names with a reason; the package records both."""
    shop.files({"roles/web/files/server.key": key})
    assert "roles/web/files/server.key" in shop.names(**allowing(path))
    manifest = shop.packages.read(shop.folder / "a.release").manifest
    assert manifest.release.package.key_material == (KeyMaterial(path=path, reason="a key for tests"),)


def test_other_key_material_is_still_refused(shop: Any, key: str) -> None:
    """A name allows what it names, and not a file whose name begins with it."""
    shop.files({"certs/a.key": key, "certs/a.key.old": key})
    assert [str(error.where) for error in refused(shop, **allowing("certs/a.key"))] == ["certs/a.key.old:1"]


def test_an_exception_that_is_not_needed_is_a_warning(shop: Any) -> None:
    """Otherwise a key that gets there later would be packed."""
    assert [warning.code for warning in warned(shop, **allowing("playbooks/deploy.yml"))] == ["P221"]


@pytest.mark.parametrize(
    "changes", [{"path": "."}, {"path": "./"}, {"reason": ""}, {"reason": "  "}, {"path": "../x"}, {"path": "/x"}]
)
def test_an_exception_has_a_narrow_path_and_a_reason(shop: Any, changes: dict[str, str]) -> None:
    """The whole project cannot be an exception."""
    with pytest.raises(ValueError, match=r"path|reason"):
        KeyMaterial.from_json({"path": "a", "reason": "b", **changes})


@pytest.mark.parametrize("setting", [
    "[defaults]\nprivate_key_file = keys/deploy\nvault_password_file = .vault_pass\n",
    "[defaults]\nconnection_password_file = .vault_pass\nbecome_password_file = keys/deploy\n",
])  # fmt: skip
def test_what_a_transport_setting_names_is_left_out(shop: Any, key: str, setting: str) -> None:
    """Runs read such files in the project: they are not packed, and the build succeeds."""
    shop.files({"ansible.cfg": setting, "keys/deploy": key, ".vault_pass": "hunter2\n"})
    (shop.project / "keys/deploy").chmod(0o700)
    assert not {"keys/deploy", ".vault_pass"} & set(shop.names())


def test_what_an_environment_names_is_left_out(shop: Any, key: str) -> None:
    """`ansible.transport`, `ansible.vault_ids` and the file of `ansible.config` name files relative to the project."""
    settings = "transport: {private_key_file: keys/deploy}, vault_ids: [prod@keys/vault_pass], config: etc/own.cfg"
    shop.files({"environments/prod/environment.yaml": f"ansible: {{{settings}}}\n", "keys/deploy": key})
    shop.files({"keys/vault_pass": "hunter2\n", "etc/own.cfg": "[defaults]\nbecome_password_file = sudo_pass\n"})
    shop.files({"etc/sudo_pass": "hunter2\n"})
    assert not {"keys/deploy", "keys/vault_pass", "etc/sudo_pass"} & set(shop.names())


def test_what_git_ignores_is_neither_packed_nor_searched(shop: Any, key: str) -> None:
    """A file that is left out does not end the build."""
    shop.files({".orchestratorignore": "local/\n", "local/server.key": key})
    assert "local/server.key" not in shop.names()


ARCHIVES = {
    "tar.gz": tar,
    "tar.bz2": lambda files: tar(files, "w:bz2"),
    "tar.xz": lambda files: tar(files, "w:xz"),
    "tar": lambda files: tar(files, "w:"),
    "zip": zipped,
    "jar": zipped,
    "pyz": lambda files: b"#!/usr/bin/env python3\n" + zipped(files),
    "war": lambda files: zipped({"WEB-INF/lib/in.jar": zipped(files)}),
    "tgz": lambda files: tar({"inner.tar.gz": tar(files)}),
    "deb": deb,
}


@pytest.mark.parametrize("magic", list(key_scan.UNSEARCHED), ids=key_scan.UNSEARCHED.values())
def test_an_archive_of_a_kind_that_is_not_read_is_a_warning(shop: Any, magic: bytes) -> None:
    """In the tree and in another archive: it is reported that it was not searched."""
    (shop.project / "files").mkdir()
    (shop.project / "files/own.bin").write_bytes(magic + b"x" * 600)
    (shop.project / "files/all.tar").write_bytes(tar({"in.bin": magic + b"x" * 600}, "w:"))
    names = sorted(warning.message.split(" ")[0] for warning in warned(shop) if warning.code == "P222")
    assert names == ["files/all.tar!in.bin", "files/own.bin"]


@pytest.mark.parametrize("ending", ARCHIVES)
def test_artifacts_are_searched_inside(shop: Any, key: str, ending: str) -> None:
    """In each kind of archive, and in archives in it; the file in it is named."""
    name = f"dist/app.{ending}"
    (shop.project / "releases/shop" / name).write_bytes(ARCHIVES[ending]({"etc/server.key": "\n" + key, "app": "x"}))
    [error] = refused(shop, artifacts=[{"path": name, "unpack": False}])
    assert str(error.where).startswith(f"releases/shop/{name}!")
    assert str(error.where).endswith("!etc/server.key:2")
    inner = str(error.where).removesuffix(":2")
    for path in (inner, f"releases/shop/{name}"):
        shop.build(replace=True, artifacts=[{"path": name, "unpack": False}], **allowing(path))


def test_an_archive_in_the_tree_is_searched_as_well(shop: Any, key: str) -> None:
    """Roles copy archives to hosts: where an archive lies does not count."""
    (shop.project / "roles/web/files/app.tgz").write_bytes(tar({"id_rsa": key}))
    assert [str(error.where) for error in refused(shop)] == ["roles/web/files/app.tgz!id_rsa:1"]


def test_a_damaged_archive_is_a_warning_and_searched_as_it_is(shop: Any, key: str) -> None:
    """A file that begins as an archive hides no key."""
    shop.files({"roles/web/files/cut.zip": "PK\3\4 and no more"})
    assert [(warning.code, "cut.zip" in warning.message) for warning in warned(shop)] == [("P222", True)]
    shop.files({"roles/web/files/cut.zip": f"PK\3\4 and no more\n{key}"})
    assert [str(error.where) for error in refused(shop)] == ["roles/web/files/cut.zip:2"]


@pytest.mark.parametrize(
    ("limit", "value"), [("MOST_BYTES", 1000), ("MOST_MEMBERS", 3), ("LARGEST_MEMBER", 400), ("DEEPEST", 1)]
)
def test_the_search_of_an_archive_has_limits(
    shop: Any, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """An archive that is larger than any of them is a warning; the build is not kept busy by it."""
    monkeypatch.setattr(key_scan, limit, value)
    monkeypatch.setattr(key_scan._Limits.__init__, "__defaults__", (key_scan.MOST_BYTES, key_scan.MOST_MEMBERS, None))
    files: dict[str, str | bytes] = {f"{number}.txt": "x" * 500 for number in range(9)}
    (shop.project / "roles/web/files/app.tgz").write_bytes(tar({**files, "in.tgz": tar(files)}))
    assert [warning.code for warning in warned(shop)] == ["P222"]


def test_a_bomb_does_not_fill_memory(shop: Any) -> None:
    """Zeros that unpack to more than the limit are read up to the limit, and in pieces of one member at most."""
    (shop.project / "roles/web/files/bomb.zip").write_bytes(zipped({"zeros": b"\0" * (key_scan.LARGEST_MEMBER + 9)}))
    began = time.monotonic()
    assert [warning.code for warning in warned(shop)] == ["P222"]
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("project", sorted(path.name for path in CORPUS.iterdir() if path.is_dir()))
def test_the_corpus_of_unchanged_projects_has_no_finding(project: str) -> None:
    """Projects as users have them are built: 0 false positives."""
    names = list_project(CORPUS / project).names
    left_out = secrets(CORPUS / project, names)
    scan = Scan()
    for name in names:
        if str((CORPUS / project / name).resolve()) not in left_out and not (CORPUS / project / name).is_symlink():
            scan.file(name, CORPUS / project / name)
    assert scan.found == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_few_files_of_installed_packages_are_taken_for_key_material(capsys: pytest.CaptureFixture[str]) -> None:
    """At most 1 % of the text files of the installed Python packages have a finding; the figure is printed."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()]
    text = [path for path in files if "__pycache__" not in path.parts and b"\0" not in path.open("rb").read(8192)]
    scan = Scan()
    for path in text:
        scan.file(str(path), path)
    flagged = {name.partition("!")[0] for name, _ in scan.found}
    listed = "".join(f"  {name}: {finding.what}\n" for name, finding in scan.found)
    with capsys.disabled():
        print(f"\nkey scan: {len(flagged)} of {len(text)} text files ({len(flagged) / len(text):.2%})\n{listed}")  # noqa: T201
    assert len(text) > 1000
    assert len(flagged) <= SHARE * len(text)
