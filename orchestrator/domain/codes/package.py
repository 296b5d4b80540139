"""Codes P…: release packages."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
