# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's side: one request, one round trip. Every module of this collection is a list of verbs on it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

SMALL = 256 * 1024  # an artifact up to this size is sent along unasked: a second round trip would cost more
LIKELY = 8 * 1024 * 1024  # up to this size also where the host can hardly have it: a release on its way forward
MOST_SAID = 16 * 1024 * 1024  # characters of an answer: differences of configuration files are in it
MARK = "\n@orchestrator@"
BOOTSTRAP = (
    "import sys;s=sys.stdin.buffer;c=s.read(int(s.readline()));"
    "g={'__name__':'orchestrator_remote'};exec(compile(c,'orchestrator','exec'),g);g['serve']()"
)


def remote_source():
    """The script that runs on the host, as it stands in this collection."""
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "module_utils", "remote.py")
    with open(path, "rb") as file:
        return file.read()


def clean(text):
    """*text* as the ledger writes it, and as a folder may be called."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", str(text))


def part_of(what):
    """The name of a piece of work in the ledger: the same for the same request, also in a second attempt."""
    artifact = what["artifact"] and what["artifact"]["sha256"]
    text = json.dumps({**what, "artifact": artifact}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checked_answer(text):
    """What the script on a host answered, in *text*: only what it is known to say, each of its kind. Raises ValueError.

    The host is not trusted: what it says becomes the result of a task, where other keys would mean something to Ansible.
    """
    if len(text) > MOST_SAID:
        raise ValueError(f"it is longer than {MOST_SAID} characters")
    answer = json.loads(text)
    if not isinstance(answer, dict):
        raise ValueError("it is not an object")
    for key, value in answer.items():
        if key not in SAID:
            raise ValueError(f"it has the unknown key {key[:60]!r}")
        if not SAID[key](value):
            raise ValueError(f"its {key} is not what it should be")
    return answer


def _is_flag(value):
    return isinstance(value, bool)


def _is_text(value):
    return isinstance(value, str)


def _is_texts(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_release(value):
    """A release as the state of a host has it: its digest, name, version, folder, run, fence and time, and no more levels."""
    return isinstance(value, dict) and all(item is None or isinstance(item, (str, int)) for item in value.values())


def _is_diff(value):
    return isinstance(value, list) and all(isinstance(part, dict) and all(map(_is_text, part.values())) for part in value)


SAID = {
    "changed": _is_flag, "failed": _is_flag, "need": _is_flag, "msg": _is_text, "did": _is_texts, "installed": _is_texts,
    "diff": _is_diff, "orchestrator_release": _is_release, "previous": _is_release,
}  # fmt: skip


def unasked(request):
    """The size in bytes up to which an artifact goes along: what is put back, or tried again, mostly is there."""
    return SMALL if request["step"].startswith("restore.") or request["attempt"] > 1 else LIKELY


def _first(*values):
    """The first of *values* that says something; else the last one."""
    return next((value for value in values if value), values[-1])


class OneTrip(ActionBase):
    """A module whose work is done by the remote script. Subclasses name their verbs and the options they take."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = True
    VERBS: tuple[str, ...] = ()
    OPTIONS: frozenset[str] = frozenset()
    READS_ONLY = False
    COMMON = frozenset({"root", "release"})

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        unknown = set(self._task.args) - self.OPTIONS - self.COMMON
        if unknown:
            known = ", ".join(sorted(self.OPTIONS | self.COMMON))
            raise AnsibleActionFail(f"unknown options: {', '.join(sorted(unknown))} (there are: {known})")
        request = self._request(task_vars)
        artifact = request["artifact"]
        answer = self._trip(request, artifact if artifact and artifact["size"] <= unasked(request) else None, task_vars)
        if answer.get("need"):
            answer = self._trip(request, artifact, task_vars)
        if not self._task.diff:
            answer.pop("diff", None)
        result.update(answer)
        return result

    def _request(self, task_vars):
        args = self._task.args
        release = _first(args.get("release"), *(task_vars.get(name) for name in ("orchestrator_release", "release"))) or {}
        root = _first(args.get("root"), *(task_vars.get(name) for name in ("orchestrator_root", "release_root", "host_root")))
        if not root:
            raise AnsibleActionFail("the option root is missing, and the host has no variable orchestrator_root")
        wanted = {name: str(release[name]) for name in ("name", "version", "digest") if name in release}
        if self._needs_release() and len(wanted) < 3:
            raise AnsibleActionFail("a release with name, version and digest is needed (the variable `orchestrator_release`)")
        what = {
            "verbs": list(self.VERBS),
            "root": str(root),
            "release": wanted,
            "artifact": self._artifact(release) if "artifact" in self.OPTIONS else None,
            "shared": [str(name) for name in _first(args.get("shared"), [])],
            "config": [self._rendered(file, task_vars) for file in _first(args.get("config"), [])],
            "restart": args.get("restart"),
            "service": args.get("service"),
            "probe": args.get("probe"),
            "on_failure": str(_first(args.get("on_failure"), "revert")),
            "keep": int(_first(args.get("keep"), 5)),
        }
        return {**what, **self._circumstances(release, task_vars), "part": part_of(what)}

    def _circumstances(self, release, task_vars):
        """For whom it is done, which the host's ledger keeps."""
        host = clean(task_vars.get("inventory_hostname") or "")
        return {
            "reads_only": self.READS_ONLY,
            "check": bool(self._task.check_mode),
            "run": clean(release.get("run_id") or ""),
            "fence": int(release.get("fence") or 0),
            "step": clean(release.get("step") or ""),
            "attempt": int(release.get("attempt") or 1),
            "host": host,
            "below": ".".join([clean(release.get(name) or "none") for name in ("project", "environment")] + [host]),
        }

    def _needs_release(self):
        return bool({"install", "configure", "switch", "deploy"} & set(self.VERBS))

    def _artifact(self, release):
        """The artifact to install: named, or the release's only one."""
        known, wanted = release.get("artifacts") or {}, self._task.args.get("artifact")
        if isinstance(wanted, dict):
            found, name = wanted, str(wanted.get("name") or os.path.basename(str(wanted.get("path"))))
        elif wanted is None and len(known) == 1:
            (name, found), = known.items()
        elif str(wanted) in known:
            name, found = str(wanted), known[str(wanted)]
        else:
            raise AnsibleActionFail(f"which artifact? The release has: {', '.join(sorted(known)) or 'none'}")
        about = {"name": name, "path": str(found["path"]), "sha256": str(found["sha256"])}
        return {**about, "size": os.path.getsize(found["path"]), "unpack": found.get("unpack")}

    def _rendered(self, file, task_vars):
        """One configuration file, rendered here by Ansible's own template engine."""
        source = self._find_needle("templates", str(file["src"]))
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        content = lookup.run([source], variables=task_vars, convert_data=False)[0]
        return {"dest": str(file["dest"]), "content": str(content), "mode": str(file.get("mode") or "0644")}

    def _trip(self, request, artifact, task_vars):
        """One exec on the host: the script, the request, and the artifact, all on its standard input."""
        source = remote_source()
        head = json.dumps({**request, "sent": artifact is not None}).encode() + b"\n"
        data = str(len(source)).encode() + b"\n" + source + head
        if artifact is not None:
            with open(artifact["path"], "rb") as file:
                data += file.read()
        python = task_vars.get("ansible_python_interpreter") or "/usr/bin/python3"
        if python in ("auto", "auto_silent", "auto_legacy", "auto_legacy_silent"):
            python = "/usr/bin/python3"
        done = self._low_level_execute_command(  # -S: it needs the standard library only, and saves a third of its start
            f"{shlex.quote(str(python))} -S -c {shlex.quote(BOOTSTRAP)}", in_data=data, sudoable=True
        )
        if done["rc"] == 255 and MARK not in done["stdout"]:
            raise AnsibleConnectionFailure(f"the connection broke: {done.get('stderr', '').strip()}")
        _before, mark, answer = done["stdout"].rpartition(MARK)
        if not mark:
            said = (done.get("stderr") or done["stdout"] or "nothing").strip()
            raise AnsibleActionFail(f"the host answered with {done['rc']}: {said[-2000:]}")
        try:
            return checked_answer(answer)
        except (ValueError, RecursionError) as error:
            raise AnsibleActionFail(f"the answer of the host is not valid (D184): {error}") from None
