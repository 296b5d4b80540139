"""What a plan contains about its rollback: the target, the second pass, and the steps it skips."""

from pydantic import Field

from orchestrator.domain.model import Model
from orchestrator.domain.plan.play import PlaySpec
from orchestrator.domain.release import PackageRef


class SecondPass(Model):
    """The steps that a rollback runs on hosts again after it has restored the infrastructure (`restore.again.*`).

    *restore* are the steps that restore the release, in order. The limit of each are the hosts that get it if the
    restored infrastructure gives plays other variables. A host that the infrastructure replaces or creates again gets
    each step that is for it, whether it is in the limit or not.
    """

    restore: tuple[PlaySpec, ...] = ()


class SkippedStep(Model):
    """A step of *release* that a rollback does not run, because it declares *undo*.

    A step of the restored release is not run again; a step of a release that is rolled back is not undone.
    """

    release: PackageRef
    step: str
    undo: str


class RollbackTarget(Model):
    """The rollback target: the last verified release, whether its package is available, and irreversible steps.

    *definition* is that of the environment when the release was verified: the infrastructure is restored to it.
    *second_pass* is the second pass after that; null if the infrastructure stays. *skipped* are the steps that are
    neither undone nor run again.
    """

    release: PackageRef | None = None
    definition: str | None = None
    available: bool = False
    impossible: tuple[str, ...] = ()
    reason: str = ""
    second_pass: SecondPass | None = Field(default=None, exclude_if=lambda second: second is None)
    skipped: tuple[SkippedStep, ...] = Field(default=(), exclude_if=lambda steps: not steps)
