"""Names as one text each."""

import pathlib
import sqlite3

FILE = pathlib.Path(__file__).resolve().parent / "data" / "guestbook.db"


def run(sql, *values):
    with sqlite3.connect(FILE) as database:
        return database.execute(sql, values).fetchall()


def create():
    run("CREATE TABLE IF NOT EXISTS guests (name TEXT NOT NULL)")


def add(first, last):
    run("INSERT INTO guests (name) VALUES (?)", f"{first} {last}")


def guests():
    return [name for (name,) in run("SELECT name FROM guests ORDER BY rowid")]
