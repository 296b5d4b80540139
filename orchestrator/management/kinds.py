"""Every kind of record of release management. The database has one table for each."""

from typing import Any

from orchestrator.domain.register import RecordKind
from orchestrator.management.bookings.store import BOOKINGS, QUOTAS
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.hooks.store import DELIVERIES, HOOKS
from orchestrator.management.implementation_plans.evidence import EVIDENCE_FILES
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.numbers import COUNTERS
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS

MANAGEMENT_KINDS: tuple[RecordKind[Any], ...] = (
    COUNTERS, CHANGE_REQUESTS, BOOKINGS, QUOTAS, PLANNED_RELEASES, IMPLEMENTATION_PLANS,
    RELEASE_REVIEWS, REVIEW_ACTIONS, TRAIN_LINES, TRAINS, HOOKS, DELIVERIES,
    EVIDENCE_FILES,
)  # fmt: skip
