"""Code of a package that wants what is outside of its view: keys, the state folder, the home folder, other processes."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

from orchestrator.adapters.views import Views
from orchestrator.app import run_output
from orchestrator.domain.environment import AnsibleSettings, Environment
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation import mounts
from orchestrator.isolation.find import available
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.ports import Job
from orchestrator.written_files import written_files
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE = "S6"
ABOUT = "code of a package reads and writes outside of its view, in each way and at each place"

BEGIN = """
import ctypes, glob, mmap, os, shutil, socket, stat, subprocess, sys, tarfile
target, job, said = sys.argv[1], os.environ["ORCHESTRATOR_JOB"], []
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try:
        said.append(str(action()))
    except BaseException as error:
        said.append(type(error).__name__)
"""
END = "\nprint(said)\nopen(os.path.join(job, 'result.json'), 'a').write(repr(said))\n"

WAYS = {
    "open": "attempt(lambda: open(target).read())",
    "a low-level open": "attempt(lambda: os.read(os.open(target, os.O_RDONLY), 4096))",
    "an open without following links": "attempt(lambda: os.read(os.open(target, os.O_RDONLY | os.O_NOFOLLOW), 4096))",
    "a relative path": "attempt(lambda: open(os.path.relpath(target)).read())",
    "many dots": "attempt(lambda: open('/' + '../' * 30 + target.lstrip('/')).read())",
    "a link": "os.symlink(target, 'link'); attempt(lambda: open('link').read())",
    "a hard link": "attempt(lambda: os.link(target, 'hard')); attempt(lambda: open('hard').read())",
    "a rename": "attempt(lambda: os.rename(target, 'moved')); attempt(lambda: open('moved').read())",
    "a copy": "attempt(lambda: shutil.copy(target, 'copy')); attempt(lambda: open('copy').read())",
    "cat": "attempt(lambda: subprocess.run(['cat', target], capture_output=True).stdout)",
    "a shell": "attempt(lambda: subprocess.run('cat < ' + target, shell=True, capture_output=True).stdout)",
    "tar": "attempt(lambda: tarfile.open('all.tar', 'w').add(target)); attempt(lambda: open('all.tar', 'rb').read())",
    "the root of this process": "attempt(lambda: open('/proc/self/root' + target).read())",
    "the root of the first process": "attempt(lambda: open('/proc/1/root' + target).read())",
    "the root of the parent": "attempt(lambda: open(f'/proc/{os.getppid()}/root' + target).read())",
    "the folders of all processes": (
        "[attempt(lambda: open(path + target).read()) for path in glob.glob('/proc/[0-9]*/root')]; "
        "[attempt(lambda: open(path + target).read()) for path in glob.glob('/proc/[0-9]*/task/*/root')]"
    ),
    "open files of all processes": (
        "[attempt(lambda: open(path).read(9999)) for path in glob.glob('/proc/[0-9]*/fd/*') "
        "if os.path.isfile(path) and not path.startswith(f'/proc/{os.getpid()}/')]"
    ),
    "inherited handles": "[attempt(lambda: os.read(number, 9999)) for number in range(3, 64)]",
    "inherited folders": "[attempt(lambda: os.open(target.lstrip('/'), os.O_RDONLY, dir_fd=n)) for n in range(3, 64)]",
    "variables of all processes": "[attempt(lambda: open(path).read()) for path in glob.glob('/proc/[0-9]*/environ')]",
    "command lines of all processes": "[attempt(lambda: open(path).read()) for path in glob.glob('/proc/[0-9]*/cmdline')]",
    "the list of mounts": "attempt(lambda: open('/proc/self/mountinfo').read()); attempt(lambda: open(target).read())",
    "a namespace of its own": "libc.unshare(0x10020000); attempt(lambda: open(target).read())",
    "an unmount": (
        "at = target\nwhile at != '/':\n    libc.umount2(at.encode(), 2); at = os.path.dirname(at)\n"
        "attempt(lambda: open(target).read())"
    ),
    "an unmount in a namespace of its own": (
        "libc.unshare(0x10020000); at = target\nwhile at != '/':\n    libc.umount2(at.encode(), 2); at = os.path.dirname(at)\n"
        "attempt(lambda: open(target).read())"
    ),
    "a mount of the root": (
        "os.mkdir('here'); libc.mount(b'/', b'here', None, 4096 | 16384, None); "
        "attempt(lambda: open('here' + target).read())"
    ),
    "a mount of the process table": (
        "libc.unshare(0x30020000); os.mkdir('proc'); libc.mount(b'proc', b'proc', b'proc', 0, None); "
        "[attempt(lambda: open(path + target).read()) for path in glob.glob('proc/[0-9]*/root')]"
    ),
    "chroot": "attempt(lambda: os.chroot('/proc/1/root')); attempt(lambda: open(target).read())",
    "another user": "attempt(lambda: os.setuid(0)); attempt(lambda: os.setuid(1000)); attempt(lambda: open(target).read())",
    "sudo": "attempt(lambda: subprocess.run(['sudo', '-n', 'cat', target], capture_output=True).stdout)",
    "su": "attempt(lambda: subprocess.run(['su', '-c', 'cat ' + target], capture_output=True).stdout)",
    "the namespaces of the first process": (
        "[libc.setns(os.open(path, os.O_RDONLY), 0) for path in glob.glob('/proc/1/ns/*') if os.access(path, 4)]; "
        "attempt(lambda: open(target).read())"
    ),
    "a handle by its number": (
        "class H(ctypes.Structure): _fields_ = [('n', ctypes.c_uint), ('t', ctypes.c_int), ('d', ctypes.c_char * 128)]\n"
        "h, m = H(128, 0), ctypes.c_int()\n"
        "libc.name_to_handle_at(-100, target.encode(), ctypes.byref(h), ctypes.byref(m), 0)\n"
        "n = libc.open_by_handle_at(os.open('/', os.O_RDONLY), ctypes.byref(h), 0)\nattempt(lambda: os.read(n, 9999))"
    ),
    "a disk": "[attempt(lambda: open(path, 'rb').read(1 << 20)) for path in glob.glob('/dev/[svx]d*') + glob.glob('/dev/mem')]",
    "a device that it makes": "attempt(lambda: os.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))); attempt(lambda: open('disk', 'rb').read(1 << 20))",
    "the memory of others": "[attempt(lambda: open(path, 'rb').read(1)) for path in glob.glob('/proc/[0-9]*/mem')]",
    "a program for the kernel": (
        "attempt(lambda: open('/proc/sys/kernel/core_pattern', 'w').write('|/bin/cat ' + target)); "
        "attempt(lambda: open('/sys/kernel/uevent_helper', 'w').write('x'))"
    ),
    "a list of the folder": "attempt(lambda: os.listdir(os.path.dirname(target))); attempt(lambda: open(target).read())",
    "every file below the root": (
        "[attempt(lambda: open(os.path.join(at, name)).read()) for at, folders, names in os.walk('/') "
        "if not at.startswith(('/proc', '/sys', '/usr', '/lib', '/bin', '/sbin', '/opt', '/dev', sys.prefix, sys.base_prefix, '/var/lib')) "
        "for name in names if os.path.isfile(os.path.join(at, name)) and os.path.getsize(os.path.join(at, name)) < 9999]"
    ),
    "a write": "attempt(lambda: open(target, 'a').write('written'))",
    "a file beside it": "attempt(lambda: open(os.path.join(os.path.dirname(target), 'new'), 'w').write('written'))",
    "a folder on the way": "attempt(lambda: os.makedirs(os.path.dirname(target), exist_ok=True)); attempt(lambda: os.unlink(target))",
    "its removal": "attempt(lambda: shutil.rmtree(os.path.dirname(target)))",
    "its mode": "attempt(lambda: os.chmod(target, 0o666)); attempt(lambda: os.utime(target)); attempt(lambda: os.truncate(target, 0))",
    "a link in place of its answer": "os.symlink(target, os.path.join(job, 'result.json'))",
    "a link in place of its events": (
        "attempt(lambda: os.unlink(os.path.join(job, 'events.jsonl'))); "
        "attempt(lambda: os.symlink(target, os.path.join(job, 'events.jsonl')))"
    ),
    "a link in place of its output": (
        "attempt(lambda: os.rename(os.path.join(job, 'output.log'), os.path.join(job, 'old'))); "
        "attempt(lambda: os.symlink(target, os.path.join(job, 'output.log')))"
    ),
    "a link in place of its outcome": "attempt(lambda: os.symlink(target, os.path.join(job, 'outcome.json')))",
    "a folder that leads elsewhere": "attempt(lambda: os.symlink(os.path.dirname(target), os.path.join(job, 'files')))",
    "a changed description": (
        "attempt(lambda: open(os.path.join(job, 'job.json'), 'w').write('{}')); "
        "attempt(lambda: os.rename(os.path.join(job, 'job.json'), os.path.join(job, 'old')))"
    ),
}  # fmt: skip
"""Code that tries to reach the file *target*, by what it uses."""

LISTS = {
    "the path of the file": "[os.path.relpath(target, job + '/files')]",
    "its whole path": "[target, '/' + target]",
    "dots in the middle": "['a/../' + os.path.relpath(target, job + '/files'), './' + target]",
    "a link": "os.symlink(target, job + '/files/link') or ['link']",
    "a folder that is a link": (
        "os.symlink(os.path.dirname(target), job + '/files/folder') or ['folder/' + os.path.basename(target)]"
    ),
    "a link in place of all": "os.rmdir(job + '/files') or os.symlink('/', job + '/files') or [target.lstrip('/')]",
    "a pipe": "os.mkfifo(job + '/files/pipe') or ['pipe']",
    "a device": "attempt(lambda: os.mknod(job + '/files/zero', stat.S_IFCHR | 0o600, os.makedev(1, 5))) or ['zero']",
}  # fmt: skip
"""Lists of written files that a play has made itself, by what they name."""

PLACES = ("elsewhere", "the state folder", "the home folder", "a key of production", "below a declared folder")


def cases(seed: int) -> Iterator[Case]:
    """Each way at one place, and each place in the plainest way; the places follow from the seed."""
    random = Random(seed)
    ways = list(WAYS)
    random.shuffle(ways)
    for way in ways:
        yield Case(f"{way}, elsewhere", partial(_attempt, way, "elsewhere"))
    for way, place in product(("open", "cat", "every file below the root", "a write", "its removal"), PLACES[1:]):
        yield Case(f"{way}, {place}", partial(_attempt, way, place))
    for way in LISTS:
        yield Case(f"a list of written files with {way}", partial(_listed, way))


def _listed(way: str, yard: Yard) -> Outcome:
    """What `logs --files --save` copies of a job that has made the list of its written files itself."""
    if not available(os.environ["PATH"]).isolates:
        return HELD
    copy, saved = yard.inside / "project/.orchestrator/jobs/r.deploy/content", yard.inside / "saved"
    for folder in (copy, yard.inside / "home", yard.inside / "project/keys"):
        folder.mkdir(parents=True, exist_ok=True)
    made = "[{'path': path, 'change': 'new', 'size': 9, 'kept': True} for path in names]"
    code = f"os.mkdir(job + '/files')\nnames = {LISTS[way]}\nimport json\njson.dump({made}, open(job + '/files.json', 'w'))"
    _run(yard, textwrap.dedent(BEGIN) + code + END, _target(yard, "elsewhere"), copy)
    for item in written_files(copy.parent) or ():
        run_output.copy_written(copy.parent / "files", item["path"], saved)
    read = "".join(path.read_text(errors="replace") for path in saved.rglob("*") if path.is_file())
    return yard.learned(read)


def _attempt(way: str, place: str, yard: Yard) -> Outcome:
    if not available(os.environ["PATH"]).isolates:
        return HELD  # without isolation nothing is promised
    project, home = yard.inside / "project", yard.inside / "home"
    target = _target(yard, place)
    copy = project / ".orchestrator/jobs/r.deploy/content"
    for folder in (home, copy, project / "keys"):
        folder.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if place != "elsewhere":
        target.write_text(yard.canary)
    before = sorted(target.parent.iterdir()), target.read_bytes(), target.stat().st_mode
    text = _run(yard, textwrap.dedent(BEGIN) + WAYS[way] + END, target, copy)
    after = sorted(target.parent.iterdir()), target.read_bytes() if target.exists() else b"", _mode(target)
    written = (str(target),) if after != before else ()
    learned = yard.learned(text)
    return Outcome(written=written, read=learned.read)


def _target(yard: Yard, place: str) -> Path:
    project, home = yard.inside / "project", yard.inside / "home"
    return {
        "elsewhere": next(path for path in sorted(yard.outside.rglob("*")) if path.is_file()),
        "the state folder": project / ".orchestrator/pulumi/passphrase",
        "the home folder": home / ".ssh/id_ed25519",
        "a key of production": project / "keys/production.pem",
        "below a declared folder": yard.inside / "declared/keys/production.pem",
    }[place]


def _mode(path: Path) -> int:
    return path.stat().st_mode if path.exists() else 0


def _environment(name: str, **more: object) -> Environment:
    return Environment.from_json({"apiVersion": "orchestrator/v1", "kind": "Environment", "name": name, **more})


def _run(yard: Yard, code: str, target: Path, copy: Path) -> str:
    """Run *code* as code of a package for staging; all that the orchestrator and its user see of it."""
    project, declared = yard.inside / "project", yard.inside / "declared"
    declared.mkdir(exist_ok=True)
    keys = [str(yard.inside / "project/keys/production.pem"), str(declared / "keys/production.pem")]
    production = _environment(
        "production", ansible={"transport": {"private_key_file": keys[0]}, "vault_ids": [f"p@{keys[1]}"]}
    )
    staging = _environment("staging", isolation={"read": [str(declared)]})
    environ = {**os.environ, "HOME": str(yard.inside / "home"), "PULUMI_CONFIG_PASSPHRASE": yard.canary}
    environments = {"staging": staging, "production": production}
    views = Views(project, project / ".orchestrator", environ, _isolator, lambda: environments)
    view = views.of(staging.settings if isinstance(staging.settings, AnsibleSettings) else None, copy=copy)
    jobs = LocalJobs(project / ".orchestrator/jobs", isolator=_isolator)
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    argv = (sys.executable, "-I", "-c", code, str(target))
    seen: list[object] = []
    job = Job(key="r.deploy", argv=argv, env=env, cwd=views.seen(copy), view=view, timeout=20)
    outcome = jobs.run(job, lambda _line, event: seen.append(event))
    files = [path for path in sorted(outcome.folder.rglob("*")) if path.is_file() and path.name != "job.json"]
    files = [path for path in files if not (path.is_symlink() and path.is_relative_to(copy))]  # the copy is its own
    read = [path.read_bytes().decode("utf-8", "replace") for path in files]
    return "\n".join([json.dumps(seen, default=str), *read])


def _isolator() -> Isolator:
    return available(os.environ["PATH"])


def _without() -> AbstractContextManager[object]:
    return replaced(sys.modules[__name__], "_isolator", lambda: NONE)


DEFENCES: Mapping[str, Defence] = {
    "processes are isolated": _without,
    "hidden files stay hidden below a declared folder": lambda: replaced(mounts, "_closed", lambda _path, _made: ()),
}
