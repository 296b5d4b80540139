"""Codes M…: the machine and the command line."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
