"""Codes R…: plans, promotions and rollbacks."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
