"""What masking costs: promotions with secrets beside the same promotions without any, and the filter alone."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.stage import BIN, ROOT
from orchestrator.domain.redaction import Redactor
from orchestrator.domain.secret import Secret
from orchestrator.engine import supervisor

Row = tuple[str, float, float | None, float]
COUNT = 20
VALUES = [hashlib.sha256(str(number).encode()).hexdigest()[:24] for number in range(COUNT)]
NAMES = {True: "BENCH_TOKEN_", False: "BENCH_WORDS_"}
"""Variables with the same values: their names mark these as secret, or they do not."""
PAIRS = 4  # for each requested repeat


def redaction(_counts: list[int], repeats: int) -> list[Row]:
    """What the filter of secrets takes of a promotion, and what it takes alone."""
    return [_filter(repeats), _job(repeats), *_promotions(repeats * PAIRS)]


def _promotions(pairs: int) -> list[Row]:
    """The same promotion with and without secrets, in turns; the first of a pair is now the one and now the other."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-")) / "shop"
    spent: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    try:
        shutil.copytree(ROOT / "examples/shop", folder, ignore=shutil.ignore_patterns("dist", ".orchestrator"))
        subprocess.run([sys.executable, "app/build.py", "1.0.0"], cwd=folder, check=True, capture_output=True)
        _run(folder, True, "promote", "releases/1.0.0", "--to", "staging")
        for number in range(pairs):
            for known in (True, False) if number % 2 else (False, True):
                spent[known].append(_run(folder, known, "promote", "1.0.0", "--to", "staging", "--redeploy"))
    finally:
        _run(folder, True, "environment", "destroy", "staging", "--yes")
        shutil.rmtree(folder.parent)
    what = f"a promotion that knows {COUNT} secrets, beside one that knows none (median of {pairs} pairs)"
    return [_paired(f"{what}: {kind} time", spent, number) for number, kind in enumerate(("wall", "processor"))]


def _paired(what: str, spent: dict[bool, list[tuple[float, float]]], number: int) -> Row:
    """A row with the median of the ratios of all pairs: both of a pair ran under the same load."""
    ours, theirs = ([times[number] for times in spent[known]] for known in (True, False))
    base = median(theirs)
    return (what, base * median(one / other for one, other in zip(ours, theirs, strict=True)), base, 1.02)


def _run(folder: Path, known: bool, *words: str) -> tuple[float, float]:
    """The seconds that a command takes, and those of all its processes."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    env |= {f"{NAMES[known]}{number:02}": value for number, value in enumerate(VALUES)}
    before, began = _used(), time.monotonic()
    done = subprocess.run(
        [str(BIN / "orchestrator"), *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"orchestrator {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return time.monotonic() - began, _used() - before


def _used() -> float:
    """Processor seconds of all processes that this one and its children have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _job(repeats: int) -> Row:
    """What a job that does nothing takes more of the processor if secrets are known, in turns with one without any."""
    lines = {
        True: supervisor.Given(Redactor(Secret("key", value.encode()) for value in VALUES)).line(),
        False: supervisor.Given(Redactor()).line(),
    }
    spent: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(repeats * 10):
        for known, line in lines.items():
            with tempfile.TemporaryDirectory() as folder:
                job = {"argv": ["/bin/true"], "cwd": "/", "timeout": None}
                Path(folder, "job.json").write_text(json.dumps(job), encoding="utf-8")
                before = _used()
                subprocess.run([*supervisor.COMMAND, folder], input=line, check=True)
                spent[known].append(_used() - before)
    more = median(spent[True]) - median(spent[False])
    return (f"a job whose supervisor knows {COUNT} secrets: processor time more than without", more, None, 0.02)


def _filter(repeats: int) -> Row:
    """The filter alone: the records of a promotion, and the output of its jobs."""
    values = [Secret(f"key{number}", value.encode()) for number, value in enumerate(VALUES)]
    record = json.dumps({"kind": "task", "host": "web1", "data": {"task": "Copy the release", "message": "ok\nok"}})
    output = b'ok: [web1] => {"changed": false, "path": "/opt/app/releases/1.2.0"}\n' * 14_000

    def spent() -> float:
        began = time.process_time()
        filtered = Redactor(values)
        for _ in range(2_000):
            filtered.json(record)
        stream = filtered.stream()
        for start in range(0, len(output), 1 << 16):
            stream.feed(output[start : start + (1 << 16)])
        stream.end()
        return time.process_time() - began

    ours = sorted(spent() for _ in range(repeats))[repeats // 2]
    return (f"masking {COUNT} secrets in 2,000 records and 1 MB of output", ours, None, 0.2)
