"""Hooks: other systems report a push, a tag or an event, and the project builds or promotes a release."""
