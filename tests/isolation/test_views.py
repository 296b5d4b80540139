"""What an isolated process finds of the machine, and what it can do there."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from orchestrator.domain.view import View
from orchestrator.isolation import run, system
from orchestrator.isolation.find import available, find_isolator
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.isolation.mount import READ, Mount
from orchestrator.isolation.mounts import clear, mounts, visible
from orchestrator.isolation.run import run_in_view
from orchestrator.isolation.start import start_in_view

SECRET = "the passphrase of production"


def tried(isolator: Isolator, view: View, code: str, cwd: str = "/", **env: str) -> dict[str, str]:
    """What a Python program in *view* reports: it has a function `attempt(name, action)`."""
    program = f"import json, os, subprocess, sys\nreport = {{}}\n{ATTEMPT}\n{textwrap.dedent(code)}\nprint(json.dumps(report))"
    environ = {"PATH": os.environ["PATH"], **env}
    done = run_in_view(isolator, view, [sys.executable, "-I", "-c", program], cwd=cwd, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout))


ATTEMPT = """
def attempt(name, action):
    try:
        report[name] = repr(action())
    except Exception as error:
        report[name] = f"refused: {type(error).__name__}"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A project with its state folder, keys of two environments, and a home folder; all have a secret."""
    for name in (
        "project/.orchestrator/pulumi/passphrase", "project/.orchestrator/project.key", "project/.orchestrator/state.db",
        "project/.orchestrator/jobs/other/output.log", "project/keys/production.pem", "project/keys/staging.pem",
        "project/environments/production/hosts.yml", "home/.ssh/id_ed25519", "home/.aws/credentials", "home/.netrc",
    ):  # fmt: skip
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRET)
    (tmp_path / "project/.orchestrator/jobs/own/content/play").mkdir(parents=True)
    return tmp_path


def staging(machine: Path, **more: tuple[str, ...]) -> View:
    """The view of a job of staging: its copy at the project's path, its key, and no home folder."""
    project, job = machine / "project", machine / "project/.orchestrator/jobs/own"
    return View(
        read=(str(project / "keys/staging.pem"), *more.get("read", ())),
        write=(str(job),),
        placed=((str(job / "content"), str(project)),),
        empty=(str(machine / "home"),),
        hidden=(str(project / ".orchestrator"), str(project / "keys/production.pem")),
    )


def secrets_in(machine: Path) -> list[str]:
    return [str(path) for path in sorted(machine.rglob("*")) if path.is_file()]


def test_a_job_of_staging_reads_no_secret_but_its_own(isolator: Isolator, machine: Path) -> None:
    """A job finds the key of its environment, and no file of the state folder, of other environments or of the home."""
    code = f"""
        for path in {secrets_in(machine)}:
            attempt(path, lambda: open(path).read())
    """
    found = tried(isolator, staging(machine), code)
    readable = [path for path, text in found.items() if SECRET in text]
    assert readable == [str(machine / "project/keys/staging.pem")]
    assert len(found) == 10


def test_what_is_hidden_stays_hidden_below_a_declared_folder(isolator: Isolator, machine: Path) -> None:
    """A declared folder shows neither the state folder nor the keys of other environments in it."""
    view = staging(machine, read=(str(machine), str(machine / "home")))
    code = f"""
        for path in {secrets_in(machine)}:
            attempt(path, lambda: open(path).read())
    """
    found = {path for path, text in tried(isolator, view, code).items() if SECRET in text}
    shown = {
        path for path in secrets_in(machine) if path.startswith((f"{machine}/home", f"{machine}/project/keys/staging"))
    }
    assert found == shown


def test_what_is_hidden_stays_hidden_behind_links(isolator: Isolator, machine: Path) -> None:
    """A state folder that is a link is closed by its own name and by its real one."""
    (machine / "project/.orchestrator").rename(machine / "state")
    (machine / "project/.orchestrator").symlink_to(machine / "state")
    hidden = (str(machine / "project/.orchestrator"),)
    code = f"""
    for path in {[f"{machine}/{name}/state.db" for name in ("state", "project/.orchestrator")]}:
        attempt(path, lambda: open(path).read())
    """
    found = tried(isolator, View(read=(str(machine),), hidden=hidden), code)
    assert set(found.values()) == {"refused: FileNotFoundError"}


def test_a_declared_path_can_be_read_and_not_written(isolator: Isolator, machine: Path) -> None:
    """A folder that the environment declares is found at its own path, read-only, and its neighbours are not."""
    aws = machine / "home/.aws"
    code = f"""
        attempt("read", lambda: open("{aws}/credentials").read())
        attempt("write", lambda: open("{aws}/credentials", "w"))
        attempt("beside", lambda: os.listdir("{machine}/home"))
    """
    found = tried(isolator, staging(machine, read=(str(aws),)), code)
    assert found == {"read": repr(SECRET), "write": "refused: OSError", "beside": "['.aws']"}


def test_paths_that_lead_through_links_are_found_as_by_hand(isolator: Isolator, tmp_path: Path) -> None:
    """A declared path is found by its own name and by its real one, with links in an empty home folder, in a folder that is shown, and at its end."""
    for name in ("cache/tool/program", "storage/data/row", "releases/5/page", "app/readme"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    home, app = tmp_path / "home", tmp_path / "app"
    home.mkdir()
    for link, target in ((home / ".cache", "cache"), (app / "shared", "storage"), (app / "current", "releases/5")):
        link.symlink_to(tmp_path / target)
    asked = {
        home / ".cache/tool/program": "cache/tool/program",
        app / "shared/data/row": "storage/data/row",
        app / "current/page": "releases/5/page",
        app / "readme": "app/readme",
    }
    view = View(
        read=(str(home / ".cache/tool"), str(app), str(app / "current")),
        write=(str(app / "shared/data"),),
        empty=(str(home),),
    )
    code = f"""
    for path in {[name for path in asked for name in (str(path), str(path.resolve()))]}:
        attempt(path, lambda: open(path).read())
    attempt("written", lambda: open({str(app / "shared/data/new")!r}, "w").write("new"))
    attempt("fixed", lambda: open({str(app / "current/new")!r}, "w").write("new"))
    """
    found = tried(isolator, view, code)
    by_name = {str(path): repr(text) for path, text in asked.items()}
    by_real = {str(path.resolve()): repr(text) for path, text in asked.items()}
    assert found == {**by_name, **by_real, "written": "3", "fixed": "refused: OSError"}
    assert (tmp_path / "storage/data/new").read_text() == "new"


def test_nothing_of_the_machine_is_written(isolator: Isolator, machine: Path) -> None:
    """A job writes into its own folder and its copy, and temporary files end with it."""
    places = ["/usr", "/etc", "/opt", "/bin", sys.prefix, str(Path(system.__file__).parent), "/", "/var"]
    code = f"""
        for place in {places}:
            attempt(place, lambda: open(place + "/written", "w"))
        for place in ("/tmp", "/var/tmp", "/run", "/dev/shm", "{machine}/home", "{machine}/project"):
            attempt(place, lambda: open(place + "/written", "w").write("x"))
    """
    found = tried(isolator, staging(machine), code)
    assert {found[place] for place in places} == {"refused: OSError"}
    assert {text for place, text in found.items() if place not in places} == {"1"}
    assert not any(Path(place, "written").exists() for place in found)
    assert (machine / "project/.orchestrator/jobs/own/content/written").read_text() == "x"


def test_the_copy_has_the_path_of_the_project(isolator: Isolator, machine: Path) -> None:
    """A process that starts in the project's folder finds the copy there, so paths are those of a run by hand."""
    (machine / "project/.orchestrator/jobs/own/content/play/site.yml").write_text("sealed")
    code = """
        attempt("where", os.getcwd)
        attempt("text", lambda: open("site.yml").read())
    """
    place = str(machine / "project/play")
    assert tried(isolator, staging(machine), code, cwd=place) == {"where": repr(place), "text": "'sealed'"}


def test_a_job_of_root_has_no_capability(isolator: Isolator, machine: Path) -> None:
    """A process, also one of root, cannot undo a mount, change its root, or get the rights back in a new namespace."""
    code = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        key = b"{machine}/project/keys/production.pem"
        attempt("umount", lambda: libc.umount2(b"/usr", 2))
        attempt("writable", lambda: libc.mount(None, b"/usr", None, 32 | 4096, None))
        attempt("chroot", lambda: os.chroot("/usr"))
        attempt("user", lambda: os.setuid(12345))
        attempt("new user", lambda: libc.unshare(0x10000000 | 0x00020000))
        attempt("umount in it", lambda: libc.umount2(b"/etc", 2))
        attempt("writable in it", lambda: libc.mount(None, b"/usr", None, 32 | 4096, None))
        attempt("write", lambda: open("/usr/written", "w"))
        attempt("shadow", lambda: open("/etc/shadow").read())
        attempt("key", lambda: open(key).read())
    """
    found = tried(isolator, staging(machine), code)
    assert found["umount"] == found["writable"] == "-1"
    assert found["chroot"].startswith("refused")
    assert found["user"].startswith("refused")
    assert found["umount in it"] == found["writable in it"] == "-1"
    assert all(found[name].startswith("refused") for name in ("write", "shadow", "key"))


def test_settings_of_the_kernel_are_not_written(isolator: Isolator) -> None:
    """A process, also one of root, changes no setting of the kernel: neither below `/proc/sys` nor below `/sys`."""
    code = """
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
            attempt(path, lambda: open(path, "w") if os.path.exists(path) else missing)
    """
    assert all(text.startswith("refused") for text in tried(isolator, View(), code).values())


def test_other_processes_are_not_seen(isolator: Isolator, machine: Path) -> None:
    """A process sees no process of the machine: neither their environment nor their files can be read through `/proc`."""
    environ = {**os.environ, "CANARY": SECRET}
    with subprocess.Popen([sys.executable, "-c", "input()"], env=environ, stdin=subprocess.PIPE) as other:
        code = f"""
            attempt("other", lambda: open("/proc/{other.pid}/environ").read())
            attempt("kill", lambda: os.kill({other.pid}, 0))
            found = [name for name in os.listdir("/proc") if name.isdigit()]
            attempt("many", lambda: len(found))
            texts = []
            for name in found:
                attempt("read", lambda: texts.append(open("/proc/" + name + "/environ").read()))
            attempt("canary", lambda: any("{SECRET}" in text for text in texts))
            attempt("root", lambda: open("/proc/1/root{machine}/home/.netrc").read())
        """
        found = tried(isolator, staging(machine), code)
        other.communicate(b"\n")
    assert found["other"].startswith("refused")
    assert found["kill"] == "refused: ProcessLookupError"
    assert int(found["many"]) <= 4
    assert found["canary"] == "False"
    assert found["root"].startswith("refused")


def test_what_every_process_needs_can_be_read(isolator: Isolator) -> None:
    """Names, certificates, programs, time zones and the installed Python packages are found in the smallest view."""
    code = """
        import ssl, socket, pwd, time
        attempt("hosts", lambda: socket.gethostbyname("localhost"))
        attempt("resolver", lambda: "nameserver" in open("/etc/resolv.conf").read())
        attempt("user", lambda: pwd.getpwuid(os.getuid()).pw_uid == os.getuid())
        attempt("certificates", lambda: os.path.isdir("/etc/ssl") or os.path.isdir("/etc/pki"))
        attempt("programs", lambda: subprocess.run(["sh", "-c", "ls / | wc -l"], capture_output=True).returncode)
        attempt("host name", socket.gethostname)
        attempt("devices", lambda: (len(os.urandom(4)), open("/dev/null", "w").write("x")))
        attempt("terminal", lambda: len(os.openpty()))
        attempt("time", lambda: os.path.exists("/usr/share/zoneinfo") or True)
    """
    found = tried(isolator, View(), code)
    wanted = {"hosts": "'127.0.0.1'", "user": "True", "programs": "0", "devices": "(4, 1)", "terminal": "2"}
    assert wanted.items() <= found.items()
    assert found["host name"] == repr(os.uname().nodename)
    resolver = Path("/etc/resolv.conf")
    assert found["resolver"] == str(resolver.exists() and "nameserver" in resolver.read_text())
    done = run_in_view(
        isolator, View(), [sys.executable, "-P", "-c", "import yaml, pytest, orchestrator"], cwd="/", env={}
    )
    assert done.returncode == 0, done.stderr.decode()


def test_files_of_the_system_that_are_not_for_everybody_are_closed(isolator: Isolator) -> None:
    """Of `/etc` a process finds what every user of the machine may read, also if its own user is root."""
    assert all(os.access(path, os.R_OK) for path in system.private())
    code = f"""
        for path in {list(system.private())}:
            attempt(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path).read())
    """
    assert set(tried(isolator, View(), code).values()) <= {"refused: PermissionError", "[]"}


@pytest.mark.parametrize(
    ("word", "code"), [("exit 7", 7), ("exit 200", 200), ("kill -9 $$", -9), ("kill -TERM $$", -15)]
)
def test_how_a_command_ended(isolator: Isolator, environ: dict[str, str], word: str, code: int) -> None:
    """The exit code of a command is passed on, and a signal that ended it is reported as one."""
    assert run_in_view(isolator, View(), ["sh", "-c", word], cwd="/", env=environ).returncode == code


def test_mounts_that_cannot_be_made_are_named(isolator: Isolator, tmp_path: Path) -> None:
    """A command whose mounts cannot be made is not started, and its output says so with the path; no other output says it."""
    gone = Mount(READ, "/gone", str(tmp_path / "gone"))
    process = start_in_view(isolator, [gone], ["/bin/true"], cwd="/", stderr=subprocess.PIPE)
    printed = process.communicate()[1].decode()
    assert process.returncode
    assert isolator.failure(f"of before\n{printed}").startswith("the process cannot be isolated: ")
    assert "gone" in isolator.failure(printed)
    assert isolator.failure(f"{printed}of after\n") == NONE.failure(printed) == ""


def test_a_command_that_does_not_exist(isolator: Isolator, environ: dict[str, str]) -> None:
    """A command that cannot be started ends with the code that a shell gives."""
    done = run_in_view(isolator, View(), ["/nowhere/at-all"], cwd="/", env=environ)
    assert done.returncode == 127
    assert b"/nowhere/at-all" in done.stderr


def test_the_environment_is_the_one_that_was_given(isolator: Isolator) -> None:
    """Isolation adds no variable to the environment of a command, and takes none from it."""
    done = run_in_view(isolator, View(), ["/usr/bin/env"], cwd="/", env={"ONE": "1", "PATH": os.defpath})
    assert sorted(done.stdout.decode().split()) == ["ONE=1", f"PATH={os.defpath}"]


def test_a_command_that_takes_too_long_leaves_nothing(isolator: Isolator, environ: dict[str, str]) -> None:
    """After its time limit nothing of a command runs, whatever it has started."""
    mark = f"TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    code = "setsid sh -c 'sleep 60' & sleep 60"
    name, value = mark.split("=")
    with pytest.raises(subprocess.TimeoutExpired):
        run_in_view(isolator, View(), ["sh", "-c", code], cwd="/", env={**environ, name: value}, timeout=0.5)
    from orchestrator.processes import tagged

    deadline = time.monotonic() + 10
    while tagged(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_that_prints_without_an_end_is_ended(
    isolator: Isolator, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command prints is read up to a limit; beyond it the command is ended, and has failed with a text that states why."""
    monkeypatch.setattr(run, "MOST", 4 << 20)
    for word in ("yes", "yes >&2"):
        done = run_in_view(isolator, View(), ["sh", "-c", word], cwd="/", env=environ, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"it printed more than 4 MiB, and was ended\n")
    code = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; sleep 0.1; echo end"
    done = run_in_view(isolator, View(), ["sh", "-c", code], cwd="/", env=environ, timeout=60)
    assert (done.returncode, len(done.stdout), len(done.stderr)) == (0, 1_000_004, 1_000_000)


def test_files_in_memory(isolator: Isolator, tmp_path: Path, environ: dict[str, str]) -> None:
    """A secret file is found by the command, readable by its owner only, and stands in no folder of the machine."""
    place = tmp_path / "job/secrets"
    place.parent.mkdir()
    view, words = View(write=(str(place.parent),)), ["sh", "-c", f"stat -c %a {place}/one; cat {place}/one; ls {place}"]
    made = mounts(view)
    secrets = {f"{place}/one": SECRET.encode(), f"{place}/two": b"2"}
    with start_in_view(isolator, made, words, cwd="/", secrets=secrets, env=environ, stdout=subprocess.PIPE) as process:
        out = process.communicate()[0].decode()
    assert out == f"600\n{SECRET}one\ntwo\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_an_isolator_there_are_no_files_in_memory(tmp_path: Path) -> None:
    """A command without an isolator is refused files in memory, rather than started without them."""
    with pytest.raises(ValueError, match="isolator"):
        start_in_view(NONE, [], ["true"], cwd="/", secrets={str(tmp_path / "x"): b"x"})


def test_what_is_visible_can_be_told(machine: Path) -> None:
    """Whether a path is found in a view is known without starting a process."""
    view = staging(machine, read=(str(machine / "home/.aws"),))
    project = machine / "project"
    (project / ".orchestrator/jobs/own/content/play/site.yml").write_text("")
    shown = ["/usr/bin/env", "/bin/sh", "/etc/hosts", f"{machine}/home/.aws/credentials", f"{project}/keys/staging.pem"]
    shown += [f"{project}/play/site.yml", f"{project}/.orchestrator/jobs/own"]
    not_shown = [f"{machine}/home/.netrc", f"{project}/keys/production.pem", f"{project}/.orchestrator/state.db"]
    not_shown += ["/home", "/root/.ssh", f"{project}/environments/production/hosts.yml"]
    assert [path for path in shown if not visible(path, view)] == []
    assert [path for path in not_shown if visible(path, view)] == []


def test_what_mounts_leave_in_a_placed_folder_is_removed(
    isolator: Isolator, machine: Path, environ: dict[str, str]
) -> None:
    """The places that mounts need in the copy are removed: they are not files that a play wrote."""
    copy, kept = machine / "project/.orchestrator/jobs/own/content", machine / "kept"
    for folder in (copy, kept):
        (folder / "keys").mkdir(parents=True, exist_ok=True)
        (folder / "keys/empty").touch()
    view = staging(machine)
    run_in_view(isolator, view, ["touch", f"{machine}/project/written"], cwd="/", env=environ)
    assert {path.name for path in copy.rglob("*") if path.is_file()} == {"staging.pem", "empty", "written"}
    clear(str(copy), mounts(view), str(kept))
    left = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    assert left == {"keys", "keys/empty", "play", "written"}


def test_off_and_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """`off` isolates nothing, `required` refuses a machine without isolation, and the variable comes first."""
    from orchestrator.domain.errors import OrchestratorError

    lacking = Isolator("none", reason="no namespaces")
    monkeypatch.setattr("orchestrator.isolation.find.available", lambda _path: lacking)
    assert find_isolator("off", {}) == NONE
    assert find_isolator("auto", {}) == lacking
    with pytest.raises(OrchestratorError, match="no namespaces") as refused:
        find_isolator("required", {})
    assert refused.value.code == "I101"
    assert find_isolator("required", {"ORCHESTRATOR_JOB_ISOLATION": "off"}) == NONE
    with pytest.raises(OrchestratorError) as wrong:
        find_isolator("auto", {"ORCHESTRATOR_JOB_ISOLATION": "on"})
    assert wrong.value.code == "I102"


def test_macos_has_no_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems than Linux processes are not isolated, and the reason is given."""
    available.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert available("/usr/bin") == Isolator("none", reason="isolation needs Linux")
    available.cache_clear()
