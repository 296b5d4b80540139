"""The documents that the commands of hooks print with `--json`, as models."""

from typing import Literal

from orchestrator.documents.head import Document
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.management.hooks.model import Delivery, HookDraft, HookTest


class HookItem(Model):
    """A *hook* without its secret, and the *address* at the server to which its sender posts."""

    hook: HookDraft
    address: str
    created_at: Moment
    created_by: str


class HookDocument(HookItem, Document):
    """`orchestrator hook show --json`, and what `orchestrator hook remove` prints."""

    kind: Literal["Hook"]


class NewHookDocument(HookItem, Document):
    """`orchestrator hook add --json`: with the *secret*, which is not shown again."""

    kind: Literal["NewHook"]
    secret: str


class HooksDocument(Document):
    """`orchestrator hook list --json`."""

    kind: Literal["Hooks"]
    hooks: tuple[HookItem, ...]


class HookDeliveriesDocument(Document):
    """`orchestrator hook deliveries --json`, the newest first."""

    kind: Literal["HookDeliveries"]
    deliveries: tuple[Delivery, ...]
    cursor: str | None


class HookTestDocument(HookTest, Document):
    """`orchestrator hook test --json`."""

    kind: Literal["HookTest"]


MODELS: dict[str, type[Document]] = {
    "hook": HookDocument,
    "new-hook": NewHookDocument,
    "hooks": HooksDocument,
    "hook-deliveries": HookDeliveriesDocument,
    "hook-test": HookTestDocument,
}
