"""Codes S…: the journal, leases and the engine."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
