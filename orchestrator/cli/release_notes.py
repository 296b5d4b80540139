"""Release notes as users read them: as text and as Markdown."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.domain.text import counted

if TYPE_CHECKING:
    from orchestrator.management.planned_releases.notes import PackageNotes, ReleaseNotes

SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def escaped(text: str) -> str:
    """*text* in one line of Markdown, without effect on its form."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _link(text: str) -> str:
    """A link, unless *text* would not be one."""
    return f"<{text}>" if re.fullmatch(r"https?://[^\s<>]+", text) else escaped(text)


def note_lines(notes: "ReleaseNotes") -> Iterator[str]:
    """The notes as text."""
    from orchestrator.domain.moments import minute_text

    when = (
        f"released at {minute_text(notes.released_at)}" if notes.released_at else f"for {minute_text(notes.release_at)}"
    )
    yield f"{notes.release} {notes.title}: into {notes.environment}, {when}"
    if notes.description:
        yield f"  {' '.join(notes.description.split())}"
    yield f"requests: {len(notes.requests) or 'none'}"
    for request in notes.requests:
        links = f" ({', '.join(request.links)})" if request.links else ""
        yield f"  {request.id} {request.title}{links}"
    for package in notes.packages:
        yield ""
        yield from package_lines(package)
    if notes.deferred:
        yield ""
        yield from (f"deferred: {each.item}: {each.reason}" for each in notes.deferred)


def package_lines(package: "PackageNotes") -> Iterator[str]:
    """What a package changes, as text."""
    yield f"{package.before or 'nothing'} → {package.package}"
    if package.commits is None:
        yield f"  commits: unknown, because {package.commits_unknown}"
    else:
        yield f"  commits: {len(package.commits) or 'none'}"
        for commit in package.commits:
            about = f"{commit.commit[:12]}  {commit.at[:10]}  {commit.author}  {commit.subject}"
            yield f"    {SIGNS[commit.change]} {about}"
    for name, files in (("infrastructure", package.infrastructure), ("files", package.files)):
        yield f"  {name}: {len(files) or 'none'}"
        yield from (f"    {SIGNS[file.change]} {file.area}/{file.path}" for file in files)
    yield f"  tests: {len(package.tests) or 'none'}"
    yield from (f"    {SIGNS[test.change]} {test.path}::{test.name}" for test in package.tests)
    if package.fields:
        yield f"  fields of release.yaml: {', '.join(package.fields)}"


def markdown_lines(notes: "ReleaseNotes") -> Iterator[str]:
    """The notes as Markdown."""
    from orchestrator.domain.moments import minute_text

    yield f"# {notes.release}: {escaped(notes.title)}"
    yield ""
    when = (
        f"Released at {minute_text(notes.released_at)}" if notes.released_at else f"For {minute_text(notes.release_at)}"
    )
    yield f"{when}, into {notes.environment}."
    if notes.description:
        yield from ("", escaped(notes.description))
    yield from ("", "## Requests", "")
    for request in notes.requests:
        links = "".join(f" {_link(link)}" for link in request.links)
        yield f"- **{request.id}** {escaped(request.title)}{links}"
    if not notes.requests:
        yield "None."
    for package in notes.packages:
        yield from _package_markdown(package)
    if notes.deferred:
        yield from ("", "## Deferred", "")
        yield from (f"- {escaped(each.item)}: {escaped(each.reason)}" for each in notes.deferred)


def _package_markdown(package: "PackageNotes") -> Iterator[str]:
    yield from ("", f"## {escaped(package.package)}", "", f"Before: {escaped(str(package.before or 'nothing'))}.")
    commits = [f"`{c.commit[:12]}` {escaped(c.subject)} ({escaped(c.author)})" for c in package.commits or ()]
    if package.commits is None:
        yield from ("", f"Commits are unknown, because {escaped(package.commits_unknown)}.")
    parts = (
        ("Commits", commits),
        ("Infrastructure", [f"{file.change}: {escaped(file.path)}" for file in package.infrastructure]),
        ("Tests", [f"{test.change}: {escaped(test.path)} {escaped(test.name)}" for test in package.tests]),
        ("Files", [f"{file.change}: {escaped(f'{file.area}/{file.path}')}" for file in package.files]),
        ("Fields of release.yaml", [escaped(field) for field in package.fields]),
    )
    for title, items in parts:
        if items:
            yield from ("", f"### {title}: {counted(len(items), 'change')}", "", *(f"- {item}" for item in items))
