"""The fence and the ledger of hosts, around a user's playbook: claimed before it, recorded after it.

On the host `ledger.sh` does the work, through `raw`: the host needs nothing but a shell.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters import safe_yaml
from orchestrator.adapters.ansible.document import dump
from orchestrator.domain.context import Context
from orchestrator.domain.host_answer import LedgerLine
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.step import step_of
from orchestrator.domain.variables import Unsafe

AROUND = "around.yml"
CLAIM, RECORD, CLOSE = (f"Orchestrator: {name}" for name in ("claim the hosts", "record what was done", "closing task"))
CLOSING = frozenset({RECORD, CLOSE})
OWN = "orchestrator.release."
_PLAY = frozenset({
    "name", "hosts", "gather_facts", "vars", "vars_files", "tasks", "serial", "order", "strategy", "any_errors_fatal",
    "max_fail_percentage", "tags", "become", "become_user", "become_method", "environment", "no_log", "throttle",
})  # fmt: skip
_TASK = frozenset({
    "name", "when", "register", "vars", "tags", "loop", "loop_control", "until", "retries", "delay", "ignore_errors",
    "failed_when", "changed_when", "check_mode", "diff", "environment", "become", "become_user", "become_method",
    "no_log", "throttle", "timeout", "args",
})  # fmt: skip
SHELLS = (
    "ssh", "smart", "paramiko", "paramiko_ssh", "local", "chroot", "jail", "lxc", "lxd", "docker", "podman", "buildah",
    "kubectl", "oc", "community.docker.docker", "community.docker.docker_api", "community.docker.nsenter",
    "containers.podman.podman", "containers.podman.buildah", "kubernetes.core.kubectl", "community.okd.oc",
    "community.general.chroot", "community.general.jail", "community.general.lxc", "community.general.lxd",
    "community.general.incus", "ansible.builtin.ssh", "ansible.builtin.local", "ansible.netcommon.libssh",
    "amazon.aws.aws_ssm", "community.aws.aws_ssm",
)  # fmt: skip
REFUSED = "refused: fence"
_WHEN = (
    f"(ansible_connection | default('ssh')) in {list(SHELLS)!r}",
    "(ansible_shell_type | default('sh')) not in ['powershell', 'cmd']",
)
ROOT = """\
root={{ orchestrator_root | default('') | quote }} old={{ release_root | default(host_root) | default('') | quote }}
if test -z "$root" && test -n "$old" && test -d "$old/.orchestrator"; then root=$old; fi
"""
"""Shell code that finds the release root: our variable, or an older one whose folder contains a ledger of ours."""
_CLEAN = r"[^A-Za-z0-9_.-]"
_HOST = f"inventory_hostname | regex_replace('{_CLEAN}', '_')"


def clean(text: str) -> str:
    """*text* as the ledger contains it: without characters that have a meaning in a shell or in JSON."""
    return re.sub(_CLEAN, "_", text)


@dataclass(frozen=True)
class LedgerKey:
    """The identity of work on hosts, which the lines of the ledger contain: run, step, attempt and package."""

    context: Context
    step: str = "-"
    attempt: int = 1
    digest: str = "-"

    @staticmethod
    def of(job: str, context: Context, digest: str) -> "LedgerKey":
        """The claim of the job *job*, which puts the package *digest* on hosts."""
        step, attempt = step_of(job, context.run)
        return LedgerKey(context, step, attempt, digest)

    @property
    def wanted(self) -> bool:
        """Whether hosts are to record this work."""
        return bool(self.context.run) and self.context.settings.ledger

    def variables(self) -> dict[str, object]:
        """The values of the variable `orchestrator_release`, for the collection's modules."""
        return {"project": Unsafe(self.context.project), "step": Unsafe(self.step), "attempt": self.attempt}

    def script(self, verb: str) -> str:
        """The shell script, as a template, that does *verb* (`claim`, `record`, `ask` or `look`) on a host."""
        context, host = self.context, f"{{{{ {_HOST} }}}}"
        below = f"{clean(context.project or 'none')}.{clean(context.environment or 'none')}.{host}"
        run, step, digest = clean(context.run), clean(self.step), re.sub(r"[^a-z0-9:-]", "_", self.digest)
        words = [verb, '"$root"', below, str(context.fence), run, step, host, str(self.attempt), digest]
        script = (Path(__file__).parent / "ledger.sh").read_text(encoding="utf-8")
        code = "".join(f"{line}\n" for line in script.splitlines() if not line.startswith("#"))
        return f"{ROOT}set -- {' '.join(words)}\n{{% raw %}}{code}{{% endraw %}}"

    def around(self, playbook: Path, play: PlaySpec, *, claims: bool) -> bytes:
        """A playbook that runs *playbook* unchanged, with a closing task after it on every host of the limit.

        With *claims* the hosts are claimed before it, and the closing task records completion on each host that reaches
        it. A host that refuses stops the whole play; an unreachable host is left out, as in Ansible.
        """
        path = str(playbook)
        middle = {"import_playbook": Unsafe(path) if "{" in path else path}
        if not claims:
            return dump([middle, _play(CLOSE, {"ansible.builtin.debug": {"msg": "done"}}, play)])
        before, after = self._task("claim"), self._task("record") | {"ignore_errors": True, "ignore_unreachable": True}
        return dump([_play(CLAIM, before, play) | {"max_fail_percentage": 0}, middle, _play(RECORD, after, play)])

    def _task(self, verb: str) -> dict[str, object]:
        return {
            "ansible.builtin.raw": self.script(verb),
            "changed_when": False,
            "when": list(_WHEN),
            "vars": {"ansible_become": False},
        }


def _play(name: str, task: dict[str, object], play: PlaySpec) -> dict[str, object]:
    about = {"hosts": list(play.limit), "gather_facts": False, "become": False, "strategy": "linear"}
    return {"name": name, **about, "tasks": [{"name": name, **task, "tags": tags_of(play)}]}


def tags_of(play: PlaySpec) -> list[str]:
    """Tags that neither `--tags` nor `--skip-tags` of *play* leave out."""
    if not {"always", "tagged"} & set(play.skip_tags):
        return ["always"]
    named = [tag for tag in play.tags if tag not in {"all", "untagged", "tagged"}]
    return named or ([] if "tagged" in play.skip_tags else ["orchestrator"])


def records_itself(playbook: Path) -> bool:
    """Whether *playbook* has no task but the collection's modules, which check the fence and write the ledger.

    Whatever cannot be read for certain does not: roles, blocks, handlers, imports, tasks done for another host, a
    release or a root of the playbook's own.
    """
    try:
        plays = safe_yaml.load_yaml(playbook.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return False
    return isinstance(plays, list) and bool(plays) and all(_is_own_play(play) for play in plays)


def _is_own_play(play: Any) -> bool:
    if not isinstance(play, dict) or not set(play) <= _PLAY or not isinstance(play.get("tasks"), list):
        return False
    return bool(play["tasks"]) and all(_is_own_task(task) for task in play["tasks"])


def _is_own_task(task: Any) -> bool:
    if not isinstance(task, dict):
        return False
    actions = set(task) - _TASK
    if len(actions) != 1 or not str(next(iter(actions))).startswith(OWN):
        return False
    options = [task.get("args") or {}, task[next(iter(actions))] or {}]
    return all(isinstance(given, dict) and not {"root", "release"} & set(given) for given in options)


def has_done(lines: Iterable[LedgerLine], claim: LedgerKey, host: str) -> bool:
    """Whether *host*, whose ledger has *lines*, has come through the whole playbook of this step of this run before."""
    wanted = (clean(claim.context.run), clean(claim.step), clean(host), "", "done")
    return any((line.run, line.step, line.host, line.part, line.outcome) == wanted for line in lines)
