"""What the commands of release management say with `--json`, as models."""

from typing import Literal

from orchestrator.cli.document import Document
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.risk.assessment import RiskLine
from orchestrator.management.change_requests.imports import Incoming, Skipped
from orchestrator.management.change_requests.model import ChangeRequest, RankMove


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


class ChangeImportDocument(Document):
    """`orchestrator request import --json`. *changed* are drafts, *since* the commit after which commits count."""

    kind: Literal["ChangeImport"]
    added: tuple[Incoming, ...]
    changed: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    since: str
    imported: bool


MODELS: dict[str, type[Document]] = {
    "change-request": ChangeRequestDocument,
    "change-requests": ChangeRequestsDocument,
    "change-ranking": ChangeRankingDocument,
    "change-import": ChangeImportDocument,
}
