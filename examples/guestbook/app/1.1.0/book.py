"""First and last names beside the old text: written both ways, so that the release before can read it too."""

import pathlib
import sqlite3

FILE = pathlib.Path(__file__).resolve().parent / "data" / "guestbook.db"


def run(sql, *values):
    with sqlite3.connect(FILE) as database:
        return database.execute(sql, values).fetchall()


def create():
    run("CREATE TABLE IF NOT EXISTS guests (name TEXT NOT NULL, first TEXT, last TEXT)")


def add(first, last):
    run("INSERT INTO guests (name, first, last) VALUES (?, ?, ?)", f"{first} {last}", first, last)


def guests():
    found = run("SELECT name, first, last FROM guests ORDER BY rowid")  # the release before writes the old text only
    return [f"{last}, {first}" if last else ", ".join(reversed(name.split(" ", 1))) for name, first, last in found]
