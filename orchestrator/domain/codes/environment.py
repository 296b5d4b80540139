"""Codes E…: environments, Pulumi and loopback hosts."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
