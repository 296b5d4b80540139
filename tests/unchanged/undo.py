"""`python -m tests.unchanged --undo`: without any one mend of the product, a project of the corpus is not the same."""

import compileall
import contextlib
import resource
import shutil
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.unchanged.compare import Comparison
from tests.unchanged.processes import BIN, PACKAGES, in_a_process, interrupting
from tests.unchanged.project import Project, corpus
from tests.unchanged.undoings import UNDOINGS, Undoing

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "orchestrator"


def main(names: Iterable[str], jobs: int) -> int:
    """Undo each mend whose name has one of *names* in it, all without; 1 if a project is the same without one."""
    chosen = [undoing for undoing in UNDOINGS if not names or any(name in undoing.name for name in names)]
    began, missed = time.monotonic(), list[str]()
    for undoing, project, made in _compared(chosen, jobs):
        found = next(iter(made.differences), None)
        word = "found " if found else "MISSED"
        why = str(found) if found else "it is the same"
        print(f"{word} {undoing.line} {undoing.name}: {project.name}, {made.seconds:.1f} s: {why}", flush=True)
        missed += [] if found else [undoing.name]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{len(chosen)} mends undone, {len(missed)} missed, {time.monotonic() - began:.0f} s, "
        f"{used.ru_utime + used.ru_stime:.0f} s of processor time"
    )
    return 1 if missed else 0


def _compared(chosen: list[Undoing], jobs: int) -> Iterator[tuple[Undoing, Project, Comparison]]:
    """Each undoing with each of its projects, several at once."""
    known = {project.name: project for project in corpus()}
    with ThreadPoolExecutor(jobs) as pool, interrupting(pool):
        waiting = {
            pool.submit(compared, undoing, known[name]): (undoing, known[name])
            for undoing in chosen
            for name in undoing.projects
        }
        for done in as_completed(waiting):
            yield *waiting[done], done.result()


def compared(undoing: Undoing, project: Project) -> Comparison:
    """Compare *project* by hand with the product without one mend."""
    with without(undoing) as python:
        return in_a_process(project, python)


@contextlib.contextmanager
def without(undoing: Undoing) -> Iterator[Path]:
    """The Python interpreter of an environment that has the product without one mend, and all else as ours."""
    with tempfile.TemporaryDirectory(prefix="undone-") as folder:
        copy, home = Path(folder, "product"), Path(folder, "environment")
        shutil.copytree(ROOT / PRODUCT, copy / PRODUCT, symlinks=True)
        file = copy / undoing.file
        file.write_text(edited(undoing), "utf-8")
        compileall.compile_dir(copy / PRODUCT, quiet=2)
        venv.create(home, symlinks=True)
        (place,) = home.glob("lib/python*/site-packages")
        (place / "product.pth").write_text(f"{copy}\nimport site; site.addsitedir({str(PACKAGES)!r})\n", "utf-8")
        for path in BIN.iterdir():
            if not (home / "bin" / path.name).exists():
                (home / "bin" / path.name).symlink_to(path)
        yield home / "bin" / "python"


def edited(undoing: Undoing) -> str:
    """The text of the file without the mend. Raises `ValueError` if the edit does not fit the product."""
    text = (ROOT / undoing.file).read_text("utf-8")
    if text.count(undoing.old) != 1:
        raise ValueError(f"{undoing.file} has the text of {undoing.name!r} {text.count(undoing.old)} times")
    return text.replace(undoing.old, undoing.new)
