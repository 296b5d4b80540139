"""Codes D…: deploying with Ansible."""

from orchestrator.domain.errors import ErrorCode

CODES: tuple[ErrorCode, ...] = ()
