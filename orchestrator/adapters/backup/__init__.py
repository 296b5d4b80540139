"""Backups: one file with everything of a project's state that could not be made again.

What belongs into it is said in `content.py`; `archive.py` is its form, `databases.py` copies databases while they are
used, `take.py` writes a backup, and `restore.py` puts one in the place of what is there.
"""
