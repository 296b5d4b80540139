"""Where planned releases are kept: in the register, in the order of their release time."""

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.planned_releases.model import PlannedRelease

PLANNED_RELEASES = RecordKind(
    "planned_releases",
    PlannedRelease,
    key=lambda release: release.id,
    part=lambda release: ENDED if release.has_ended else OPEN,
    position=lambda release: f"{moment_text(release.release_at)}.{release.number:08}",
    noun="planned-release",
)
