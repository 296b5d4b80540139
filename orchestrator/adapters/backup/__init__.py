"""Backups: one file with everything of a project's state that could not be made again.

`content.py` defines what belongs to it, and `archive.py` its form. `databases.py` copies databases while they are used,
`take.py` writes a backup, and `restore.py` replaces the current state by one.
"""
