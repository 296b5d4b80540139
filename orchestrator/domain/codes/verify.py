"""Codes V…: proving with testinfra."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
