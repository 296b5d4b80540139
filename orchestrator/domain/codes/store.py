"""Codes S…: the journal, leases and the engine."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "S101",
        "the environment is busy",
        "One environment has one holder at a time: a run that has not ended yet, perhaps one that was interrupted.",
        "`orchestrator watch RUN` follows the holder; `orchestrator resume RUN` finishes one that was interrupted.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S103",
        "another process has taken over",
        "This process acted for a run, was paused or cut off for so long that it was taken for dead, and another one acts for it now.",
        "Nothing: the other one goes on, and this one touches nothing more. `orchestrator show RUN` tells the run.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S104",
        "superseded",
        "While this run waited for the environment, a newer release of the same name joined the queue.",
        "Nothing: the newer one is promoted. `queue: {supersede: false}` in `environment.yaml` keeps every one.",
    ),
    ErrorCode(
        "S105",
        "waited too long",
        "The environment did not become free in the time that `--wait` gave.",
        "`orchestrator queue` says who holds it and who waits.",
        Exit.TIMEOUT,
    ),
    ErrorCode(
        "S110",
        "unknown store",
        "`store:` in `orchestrator.yaml` names a kind of database that is not known.",
        "Use `sqlite:///path` or `postgresql://user@host/database`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S111",
        "the database's driver is missing",
        "Postgres needs psycopg, which is an extra of this package.",
        "Install `orchestrator[postgres]`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S112",
        "the store cannot be used",
        "The database does not answer, is locked by another program, or its file cannot be written.",
        "See that the database runs, or that the file and its folder belong to you; `orchestrator doctor` checks both.",
    ),
    ErrorCode(
        "S113",
        "no space is left",
        "The disk is full, or nearly: a run begins nothing for which there is less than 16 MiB (or 200 files) of room in the state folder, since nothing is done that could not be recorded.",
        "Make room, then `orchestrator resume RUN`; a worker goes on by itself. `orchestrator doctor` says how much there is.",
    ),
    ErrorCode(
        "S114",
        "the store is damaged",
        "The database file is not what the database wrote: a disk fault, or something else has written to it.",
        "Put a backup of the file in its place. `orchestrator doctor` runs the database's own check.",
    ),
    ErrorCode(
        "S115",
        "the store is newer than this program",
        "A newer version of Orchestrator has brought the schema forward, and there is no way back.",
        "Install the newer version.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S116",
        "the machine is exhausted",
        "The system gives this process no more memory, files, processes or threads. What was begun is written down, and nothing new is begun.",
        "See what uses them up (`ulimit -a`, the limits of the service or container), then `orchestrator resume RUN`; a worker goes on by itself.",
    ),
    ErrorCode(
        "S120",
        "somebody is working on it",
        "A living process on this machine is working on this run. Two would do everything twice.",
        "`orchestrator watch RUN` follows it.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S130",
        "not a backup of this project",
        "The file is not a backup, or it is of another project or another kind of store.",
        "Take a file that `orchestrator backup` has written in this project.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S131",
        "the backup is damaged",
        "Its content is not what was written: a name, a size, a digest or a database in it is wrong. Nothing was changed.",
        "Take another copy of the file, or an older backup.",
    ),
    ErrorCode(
        "S132",
        "somebody is working",
        "A process works on a run of this project. It would go on in a state that is another one.",
        "Let it end, or stop it with Ctrl-C; then restore.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S133",
        "Postgres's own programs are needed",
        "A Postgres database is copied by `pg_dump`, and put back by `pg_restore` and `psql`. One of them is missing, older "
        "than the server, or has failed; its own words are in the message. Nothing was changed.",
        "Install Postgres's client programs of the server's version, or newer, and see that they are on `PATH`.",
    ),
    ErrorCode(
        "S134",
        "the backup cannot be written or restored",
        "A file is there already, changed meanwhile, or cannot be written. No half backup is left, and a restore has put "
        "back what it had moved.",
        "Choose another file, or make space, and try again.",
    ),
    ErrorCode(
        "S135",
        "a restore was interrupted",
        "Its process died between the first and the last file that it moved. The state is neither the old one nor the new.",
        "`orchestrator restore --undo` puts the old state back; `orchestrator restore FILE` begins again.",
    ),
    ErrorCode(
        "S140",
        "unknown artifact store",
        "`artifacts:` in `orchestrator.yaml` (or `ORCHESTRATOR_ARTIFACTS`) is neither a folder nor a bucket.",
        "Write the path of a folder that every machine reaches, or `s3://bucket/prefix`. Credentials never stand there: they "
        "are read from the environment, as every program for S3 does it.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S141",
        "the library for S3 is missing",
        "An artifact store in S3 needs boto3, which is an extra of this package.",
        "Install `orchestrator[s3]`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S142",
        "the artifact store does not answer",
        "The server cannot be reached, is overloaded, or the shared folder gives errors. It was tried several times.",
        "See that the server runs and that `AWS_ENDPOINT_URL` (where it is not Amazon's) leads to it, or that the folder is "
        "mounted; `orchestrator doctor` tries it.",
    ),
    ErrorCode(
        "S143",
        "there is no such artifact store",
        "The bucket or the folder that `artifacts:` names is not there. Neither is made by this program: an empty folder in "
        "place of one that is not mounted would look like a store.",
        "Make the bucket or the folder, or mount it.",
    ),
    ErrorCode(
        "S144",
        "the artifact store refuses",
        "There are no credentials, they are wrong, or they do not allow what is to be done there.",
        "Give the worker credentials that may read, write and list below the prefix (for S3 `s3:GetObject`, `s3:PutObject` and "
        "`s3:ListBucket`), or make the folder writable for its user.",
    ),
    ErrorCode(
        "S145",
        "an artifact is damaged",
        "What the artifact store holds under a digest is not what was put there: a disk fault, or somebody has written to it. "
        "Nothing was done with it.",
        "Remove the object that is named. A package is put there again by `orchestrator promote` on a machine that keeps it, or "
        "by `orchestrator package verify FILE --keep`.",
    ),
    ErrorCode(
        "S146",
        "an artifact is missing",
        "Something that was put into the artifact store is not there any more.",
        "Take it from a machine that still keeps it: `orchestrator package verify FILE --keep` puts a package there again.",
    ),
    ErrorCode(
        "S190",
        "backup passphrase not usable",
        "A backup is authenticated with a key that is derived from a passphrase. The file with the passphrase is not named, cannot "
        "be read, can be read by other users, or does not have one line of 12 bytes or more.",
        "Give `--passphrase-file FILE` or set `ORCHESTRATOR_PASSPHRASE_FILE`. `umask 077; openssl rand -base64 24 > FILE` makes one. "
        "Keep a copy where the backups are not.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S191",
        "backup not authenticated",
        "The authentication code of the backup does not fit: the file was changed, or it was made with another passphrase. A "
        "backup of an earlier version has no code. Nothing was changed.",
        "Use the passphrase with which the backup was made, or another copy of the file. For a backup of an earlier version whose "
        "origin you know, use `--unauthenticated`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "S192",
        "database object not on the list",
        "A database in the backup has a table, index, trigger, view or function that no migration of this program makes, or one "
        "with another definition. It would act when the database is used. Nothing was changed.",
        "Take a backup that `orchestrator backup` has written. Remove objects of your own from the database before a backup.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "S193",
        "secrets of restored state missing",
        "The restored backup was made without `--with-secrets`. The project key or the passphrase of the stacks is missing, or is "
        "another one. Nothing is planned or executed until they are given: a new one could not read what was restored.",
        "Copy the file to the place that the message names, with the mode 0600. If the project key is lost, `orchestrator keys "
        "rotate` makes a new one; earlier plans are then refused, and controller files that are encrypted with it cannot be read. "
        "Without the passphrase of the stacks their secrets cannot be read.",
        Exit.NOT_ALLOWED,
    ),
)
