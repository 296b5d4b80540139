"""Commits as change requests, by the form of Conventional Commits (https://www.conventionalcommits.org/en/v1.0.0/)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.release import CommitMessage
from orchestrator.domain.text import clean_text
from orchestrator.management.change_requests.model import ChangeDraft

HEAD = re.compile(r"(?P<type>[A-Za-z]+)(?:\((?P<scope>[^()\r\n]+)\))?(?P<breaking>!)?: +(?P<text>\S.*)")
FOOTER = re.compile(r"(?P<token>BREAKING[ -]CHANGE|[A-Za-z][A-Za-z-]*)(?:: | #)(?P<value>\S.*)")
LINKS = {"refs", "ref", "closes", "close", "fixes", "fix", "resolves", "see", "issue", "ticket"}
"""The footers whose values are links of the request."""

VALUES: dict[str, tuple[int, int]] = {
    "feat": (3, 2),
    "fix": (3, 4),
    "perf": (3, 2),
    "revert": (3, 4),
    "security": (4, 5),
}
"""The value and the urgency that a commit of each type gets. A commit of another type is imported if it is breaking."""
BREAKING = (3, 3)
TITLE, REASON = 200, 10_000


@dataclass(frozen=True)
class CommitChange:
    """A commit as a change: its *draft*, or why it is *skipped*."""

    commit: CommitMessage
    draft: ChangeDraft | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Scope:
    """What all imported requests get: the *environments*, and the *packages* where the scope of a commit is not one."""

    environments: tuple[str, ...]
    packages: tuple[str, ...]
    known: frozenset[str]


def changes_of(commits: Iterable[CommitMessage], scope: Scope) -> tuple[CommitChange, ...]:
    """Each commit as a change request, or with the reason why it is not one."""
    return tuple(_change(commit, scope) for commit in commits)


def _change(commit: CommitMessage, scope: Scope) -> CommitChange:
    subject, _, body = commit.message.strip().partition("\n")
    head = HEAD.fullmatch(subject.strip())
    if head is None:
        return CommitChange(commit, skipped="it has no type, as in `feat: …`")
    kind, footers = head["type"].lower(), _footers(body)
    breaking = bool(head["breaking"]) or any(token.startswith("BREAKING") for token, _ in footers)
    if kind not in VALUES and not breaking:
        return CommitChange(commit, skipped=f"{kind} changes nothing for users")
    value, urgency = VALUES.get(kind, BREAKING)
    scoped = head["scope"]
    draft = ChangeDraft(
        title=clean_text(head["text"], TITLE).strip() or kind,
        reason=_reason(commit, body, breaking=breaking),
        value=value,
        urgency=urgency,
        packages=(scoped,) if scoped in scope.known else scope.packages,
        environments=scope.environments,
        links=tuple(dict.fromkeys(text for token, text in footers if token.lower() in LINKS)),
    )
    return CommitChange(commit, draft)


def _footers(body: str) -> list[tuple[str, str]]:
    """The footers of a message: those of its last paragraph, and breaking changes anywhere."""
    last = body.strip().rpartition("\n\n")[2].splitlines()
    lines = {line for line in body.splitlines() if line.startswith("BREAKING")} | set(last)
    found = (FOOTER.fullmatch(line.strip()) for line in body.splitlines() if line in lines)
    return [(match["token"], clean_text(match["value"], 500).strip()) for match in found if match is not None]


def _reason(commit: CommitMessage, body: str, *, breaking: bool) -> str:
    paragraph = clean_text(body.strip().partition("\n\n")[0], REASON // 2).strip()
    parts = [f"commit {commit.commit[:12]} by {clean_text(commit.author, 80)}", "a breaking change" if breaking else ""]
    return "\n".join([paragraph, ", ".join(filter(None, parts))]).strip()
