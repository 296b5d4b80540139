"""First and last names, and nothing else. Works with the old column there, and without."""

import pathlib
import sqlite3

FILE = pathlib.Path(__file__).resolve().parent / "data" / "guestbook.db"


def run(sql, *values):
    with sqlite3.connect(FILE) as database:
        return database.execute(sql, values).fetchall()


def create():
    run("CREATE TABLE IF NOT EXISTS guests (first TEXT, last TEXT)")


def add(first, last):
    old = any(column[1] == "name" for column in run("PRAGMA table_info(guests)"))  # until it is contracted everywhere
    if old:
        run("INSERT INTO guests (name, first, last) VALUES (?, ?, ?)", f"{first} {last}", first, last)
    else:
        run("INSERT INTO guests (first, last) VALUES (?, ?)", first, last)


def guests():
    return [f"{last}, {first}" for first, last in run("SELECT first, last FROM guests ORDER BY rowid")]
