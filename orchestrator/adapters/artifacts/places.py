"""The place for artifacts that the project's file names."""

import re
from pathlib import Path

from orchestrator.adapters.artifacts.folder import FolderObjects
from orchestrator.adapters.artifacts.s3 import BucketObjects
from orchestrator.adapters.artifacts.verified import VerifiedArtifacts
from orchestrator.domain.errors import OrchestratorError

BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/=+-]*))?")


def artifacts(wanted: str, root: Path) -> VerifiedArtifacts:
    """The place that *wanted* names: a folder (a relative one counts from *root*), or `s3://bucket/prefix`.

    The place is not accessed yet. Raises S140, which never repeats *wanted*, because it may contain a password.
    """
    bucket = BUCKET.fullmatch(wanted)
    if bucket:
        return VerifiedArtifacts(BucketObjects(bucket[1], (bucket[2] or "").strip("/")))
    if not wanted or "://" in wanted:
        raise OrchestratorError("S140", "artifacts: must be a folder or s3://bucket/prefix, without anything else")
    return VerifiedArtifacts(FolderObjects(root / wanted))
