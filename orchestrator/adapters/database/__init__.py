"""The journal in a database: SQLite by default, Postgres by URL; SQLAlchemy Core, one code for both."""
