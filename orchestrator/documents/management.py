"""The documents that the commands of release management print with `--json`, as models."""

from typing import Literal

from orchestrator.documents.head import Document
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.release import PackageRef
from orchestrator.domain.risk.assessment import RiskLine
from orchestrator.management.bookings.contention import WeekDemand
from orchestrator.management.bookings.model import EnvironmentBooking, Quota
from orchestrator.management.change_requests.imports import Incoming, Skipped
from orchestrator.management.change_requests.model import ChangeRequest, RankMove
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.measures.model import Measures
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.notes import ReleaseNotes
from orchestrator.management.planned_releases.phases import PhaseMoved
from orchestrator.management.planned_releases.ports import PlaceState
from orchestrator.management.projects.model import ProjectSummary
from orchestrator.management.reviews.model import CloseCode, Review, ReviewAction
from orchestrator.management.trains.model import Train, TrainLine
from orchestrator.management.trains.prognosis import Prognosis


class ChangeItem(Model):
    """A change *request* with its *rank* and its *risk*, and the arithmetic of both."""

    request: ChangeRequest
    id: str
    rank: float
    arithmetic: str
    risk: int
    risk_arithmetic: str
    risk_lines: tuple[RiskLine, ...]


class ChangeRequestDocument(ChangeItem, Document):
    """`orchestrator request show --json`, and what the commands that change a request print."""

    kind: Literal["ChangeRequest"]


class ChangeRequestsDocument(Document):
    """`orchestrator request list --json`, the highest rank first."""

    kind: Literal["ChangeRequests"]
    requests: tuple[ChangeItem, ...]
    cursor: str | None


class ChangeRankingDocument(Document):
    """`orchestrator request rank --json`. *moved* are the requests whose rank moved after *since*."""

    kind: Literal["ChangeRanking"]
    since: Moment
    requests: tuple[ChangeItem, ...]
    moved: tuple[RankMove, ...]
    cursor: str | None


class ChangeImportDocument(Document):
    """`orchestrator request import --json`. *changed* are drafts, *since* the commit after which commits count."""

    kind: Literal["ChangeImport"]
    added: tuple[Incoming, ...]
    changed: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    since: str
    imported: bool


class BookingItem(Model):
    """A booking with its id."""

    id: str
    booking: EnvironmentBooking


class BookingDocument(BookingItem, Document):
    """`orchestrator booking show --json`, and what the commands that change a booking print."""

    kind: Literal["Booking"]


class BookingsDocument(Document):
    """`orchestrator bookings --json`, by their end."""

    kind: Literal["Bookings"]
    bookings: tuple[BookingItem, ...]
    cursor: str | None


class FreeSlot(Model):
    """A time at which an environment can be booked."""

    start: Moment
    end: Moment


class FreeSlotsDocument(Document):
    """`orchestrator free --json`."""

    kind: Literal["FreeSlots"]
    environment: str
    slots: tuple[FreeSlot, ...]


class ContentionDocument(Document):
    """`orchestrator contention --json`, by environment and week."""

    kind: Literal["Contention"]
    weeks: tuple[WeekDemand, ...]


class QuotasDocument(Document):
    """`orchestrator environment quota --json`."""

    kind: Literal["Quotas"]
    quotas: tuple[Quota, ...]


class ImplementationItem(Model):
    """An implementation plan with its id."""

    id: str
    plan: ImplementationPlan


class ExpectedTask(Model):
    """The expected time of a *task*. *critical* tasks decide when the plan ends; *waits_for* are those before it."""

    task: str
    start: Moment
    end: Moment
    critical: bool
    waits_for: tuple[str, ...]


class ImplementationPlanDocument(ImplementationItem, Document):
    """`orchestrator implementation status --json`, and what the commands that change a plan print."""

    kind: Literal["ImplementationPlan"]
    end: Moment
    expected: tuple[ExpectedTask, ...]


class ImplementationPlansDocument(Document):
    """`orchestrator implementation list --json`, by the start."""

    kind: Literal["ImplementationPlans"]
    plans: tuple[ImplementationItem, ...]
    cursor: str | None


class OwnTask(Model):
    """A *task* of the plan with the id *plan* that waits for the user."""

    plan: str
    task: Task


class ImplementationTasksDocument(Document):
    """`orchestrator implementation status --json` without a plan: the tasks that wait for the user."""

    kind: Literal["ImplementationTasks"]
    tasks: tuple[OwnTask, ...]


class EvidenceFileDocument(Document):
    """`orchestrator implementation file --json`: the *name* and *digest* of a file, and the *path* of its copy."""

    kind: Literal["EvidenceFile"]
    name: str
    digest: Digest
    path: str


class ReleaseItem(Model):
    """A planned release with its id."""

    id: str
    release: PlannedRelease


class PlaceItem(Model):
    """What the journal has of a *package* in the environment of the release. *replaces* ran there before."""

    package: str
    state: PlaceState
    run: str
    at: Moment | None
    replaces: PackageRef | None


class UnreadyItem(Model):
    """What of a scope is not ready, and why."""

    item: str
    reason: str


class PlannedReleaseDocument(ReleaseItem, Document):
    """`orchestrator release show --json`, and what the commands that change a release print.

    Only `show` fills *places*, *not_ready* and *conflicts*.
    """

    kind: Literal["PlannedRelease"]
    places: tuple[PlaceItem, ...]
    not_ready: tuple[UnreadyItem, ...]
    conflicts: tuple[str, ...]


class PlannedReleasesDocument(Document):
    """`orchestrator release list --json`, by the release time."""

    kind: Literal["PlannedReleases"]
    releases: tuple[ReleaseItem, ...]
    cursor: str | None


class ReleaseSlipDocument(ReleaseItem, Document):
    """`orchestrator release phase --json` and `complete --json`. *applied* is false for a preview."""

    kind: Literal["ReleaseSlip"]
    moved: tuple[PhaseMoved, ...]
    conflicts: tuple[str, ...]
    applied: bool


class ReleaseNotesDocument(Document):
    """`orchestrator release notes --json`."""

    kind: Literal["ReleaseNotes"]
    notes: ReleaseNotes


class ReleaseScheduleDocument(Document):
    """`orchestrator release schedule --json`, by the release time."""

    kind: Literal["ReleaseSchedule"]
    releases: tuple[ReleaseItem, ...]


class ReviewItem(Model):
    """A review with its id, and the close code that its facts suggest."""

    id: str
    review: Review
    suggested_code: CloseCode


class ReviewActionItem(Model):
    """An action with its id."""

    id: str
    action: ReviewAction


class ReviewDocument(ReviewItem, Document):
    """`orchestrator review show --json`, and what the commands that change a review print."""

    kind: Literal["Review"]
    actions: tuple[ReviewActionItem, ...]


class ReviewsDocument(Document):
    """`orchestrator review list --json`, by their due time."""

    kind: Literal["Reviews"]
    reviews: tuple[ReviewItem, ...]
    cursor: str | None


class ReviewActionDocument(ReviewActionItem, Document):
    """What the commands that change an action print with `--json`."""

    kind: Literal["ReviewAction"]


class ReviewActionsDocument(Document):
    """`orchestrator action list --json`, by their due time."""

    kind: Literal["ReviewActions"]
    actions: tuple[ReviewActionItem, ...]
    cursor: str | None


class TrainItem(Model):
    """A train with its id."""

    id: str
    train: Train


class TrainDocument(TrainItem, Document):
    """`orchestrator train show --json`, and what the commands that change a train print."""

    kind: Literal["Train"]


class TrainsDocument(Document):
    """`orchestrator train list --json`, by the departure."""

    kind: Literal["Trains"]
    trains: tuple[TrainItem, ...]
    cursor: str | None


class TrainLineDocument(Document):
    """`orchestrator train line show --json`, with the next *departures* of the line."""

    kind: Literal["TrainLine"]
    line: TrainLine
    departures: tuple[Moment, ...]


class TrainLinesDocument(Document):
    """`orchestrator train line list --json`, by name."""

    kind: Literal["TrainLines"]
    lines: tuple[TrainLine, ...]


class TrainPrognosisDocument(Document):
    """`orchestrator train prognosis --json`."""

    kind: Literal["TrainPrognosis"]
    prognosis: Prognosis


class MeasuresDocument(Document):
    """`orchestrator measures --json`."""

    kind: Literal["Measures"]
    measures: Measures


class ProjectsDocument(Document):
    """`orchestrator projects --json`, by name. Of *unreadable* further projects the rights cannot be read."""

    kind: Literal["Projects"]
    projects: tuple[ProjectSummary, ...]
    unreadable: int


MODELS: dict[str, type[Document]] = {
    "booking": BookingDocument,
    "bookings": BookingsDocument,
    "free-slots": FreeSlotsDocument,
    "contention": ContentionDocument,
    "quotas": QuotasDocument,
    "implementation-plan": ImplementationPlanDocument,
    "implementation-plans": ImplementationPlansDocument,
    "implementation-tasks": ImplementationTasksDocument,
    "evidence-file": EvidenceFileDocument,
    "measures": MeasuresDocument,
    "projects": ProjectsDocument,
    "train": TrainDocument,
    "trains": TrainsDocument,
    "train-line": TrainLineDocument,
    "train-lines": TrainLinesDocument,
    "train-prognosis": TrainPrognosisDocument,
    "review": ReviewDocument,
    "reviews": ReviewsDocument,
    "review-action": ReviewActionDocument,
    "review-actions": ReviewActionsDocument,
    "planned-release": PlannedReleaseDocument,
    "planned-releases": PlannedReleasesDocument,
    "release-slip": ReleaseSlipDocument,
    "release-notes": ReleaseNotesDocument,
    "release-schedule": ReleaseScheduleDocument,
    "change-request": ChangeRequestDocument,
    "change-requests": ChangeRequestsDocument,
    "change-ranking": ChangeRankingDocument,
    "change-import": ChangeImportDocument,
}
