"""expand: first and last names beside the old text. contract: without the old text."""

import pathlib
import sqlite3
import sys

what, file = sys.argv[1:]
if not pathlib.Path(file).exists():  # a new host: the application makes the table as it wants it
    sys.exit()
with sqlite3.connect(file, timeout=30) as database:
    columns = {row[1] for row in database.execute("PRAGMA table_info(guests)")}
    if what == "expand" and "first" not in columns:
        database.execute("ALTER TABLE guests ADD COLUMN first TEXT")
        database.execute("ALTER TABLE guests ADD COLUMN last TEXT")
        print("changed")
    if what in ("expand", "contract") and "name" in columns:  # also what the older release has written since
        split = "first = substr(name, 1, instr(name, ' ') - 1), last = substr(name, instr(name, ' ') + 1)"
        database.execute(f"UPDATE guests SET {split} WHERE last IS NULL")
    if what == "contract" and "name" in columns:
        database.execute("ALTER TABLE guests DROP COLUMN name")
        print("changed")
