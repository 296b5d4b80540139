"""Channels of notifications: webhooks, mail and chat services."""
