"""Codes S…: the journal, leases and the engine."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "S101",
        "environment is busy",
        "Only one run at a time can change an environment. The holder has not ended yet, or was interrupted.",
        "`orchestrator watch RUN` follows the holder; `orchestrator resume RUN` completes one that was interrupted.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S103",
        "run taken over by another process",
        "This process was suspended or disconnected for so long that its claim expired. Another process now works on the run.",
        "No action is needed: the other process continues, and this one changes nothing more. `orchestrator show RUN` prints the run.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S104",
        "run was superseded",
        "While this run waited for the environment, a newer release of the same name joined the queue.",
        "No action is needed: the newer one is promoted. `queue: {supersede: false}` in `environment.yaml` promotes every release.",
    ),
    ErrorCode(
        "S105",
        "environment not free in time",
        "The environment did not become free within the time of `--wait`.",
        "`orchestrator queue` lists the holder and the waiting runs.",
        Exit.TIMEOUT,
    ),
    ErrorCode(
        "S110",
        "unknown store",
        "`store:` in `orchestrator.yaml` names an unknown kind of database.",
        "Use `sqlite:///path` or `postgresql://user@host/database`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S111",
        "database driver missing",
        "Postgres needs psycopg, which is an extra of this package.",
        "Install `orchestrator[postgres]`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S112",
        "cannot use the store",
        "The database does not respond, is locked by another program, or its file cannot be written.",
        "Ensure that the database runs, or that the file and its folder belong to you; `orchestrator doctor` checks both.",
    ),
    ErrorCode(
        "S113",
        "no disk space left",
        "The disk is full or nearly full. A step only starts if the state folder has 16 MiB and room for 200 files, because every effect must be recorded.",
        "Free space, then run `orchestrator resume RUN`; a worker resumes the run automatically. `orchestrator doctor` prints the free space.",
    ),
    ErrorCode(
        "S114",
        "store is damaged",
        "The database file has content that the database did not write: a disk fault, or another program has written to it.",
        "Restore a backup of the file. `orchestrator doctor` runs the database's own check.",
    ),
    ErrorCode(
        "S115",
        "store newer than this program",
        "A newer version of Orchestrator has upgraded the schema, and there is no downgrade.",
        "Install the newer version.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S116",
        "system resources exhausted",
        "The system gives this process no more memory, files, processes or threads. Everything that was started is recorded, and nothing new is started.",
        "Find out what uses them (`ulimit -a`, the limits of the service or container). Then run `orchestrator resume RUN`; a worker resumes the run automatically.",
    ),
    ErrorCode(
        "S120",
        "run already has a process",
        "A living process on this machine is working on this run. A second one would repeat its work.",
        "`orchestrator watch RUN` follows it.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S130",
        "not a backup of this project",
        "The file is not a backup, or belongs to another project or another kind of store.",
        "Use a file that `orchestrator backup` has written in this project.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S131",
        "backup is damaged",
        "A name, a size, a digest or a database in the file is wrong. Nothing was changed.",
        "Use another copy of the file, or an older backup.",
    ),
    ErrorCode(
        "S132",
        "project has running work",
        "A process works on a run of this project. A restore would change the state below it.",
        "Wait until it ends, or stop it with Ctrl-C; then restore.",
        Exit.BUSY,
    ),
    ErrorCode(
        "S133",
        "Postgres client programs missing",
        "`pg_dump` copies a Postgres database, and `pg_restore` and `psql` restore it. One of them is missing, older than the server, or has failed. The message contains its output. Nothing was changed.",
        "Install Postgres's client programs of the server's version, or newer, and ensure that they are on `PATH`.",
    ),
    ErrorCode(
        "S134",
        "cannot write or restore the backup",
        "A file already exists, changed meanwhile, or cannot be written. No partial backup is left, and a restore has moved all files back.",
        "Choose another file, or make space, and try again.",
    ),
    ErrorCode(
        "S135",
        "restore was interrupted",
        "Its process died between the first and the last file that it moved. The state is a mixture of the old and the new one.",
        "`orchestrator restore --undo` restores the old state; `orchestrator restore FILE` starts again.",
    ),
    ErrorCode(
        "S140",
        "unknown artifact store",
        "`artifacts:` in `orchestrator.yaml` (or `ORCHESTRATOR_ARTIFACTS`) is neither a folder nor a bucket.",
        "Write the path of a folder that every machine reaches, or `s3://bucket/prefix`. Credentials are not part of it: they are read from the environment, as in every program for S3.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S141",
        "S3 library missing",
        "An artifact store in S3 needs boto3, which is an extra of this package.",
        "Install `orchestrator[s3]`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "S142",
        "artifact store does not respond",
        "The server cannot be reached, is overloaded, or the shared folder returns errors. Several attempts were made.",
        "Ensure that the server runs and that `AWS_ENDPOINT_URL` (for a server other than Amazon's) is right, or that the folder is mounted. `orchestrator doctor` tests it.",
    ),
    ErrorCode(
        "S143",
        "artifact store not found",
        "The bucket or the folder that `artifacts:` names does not exist. This program creates neither: an empty folder in place of a missing mount would be taken for a store.",
        "Create the bucket or the folder, or mount it.",
    ),
    ErrorCode(
        "S144",
        "access to artifact store denied",
        "There are no credentials, they are wrong, or they do not allow the operation.",
        "Give the worker credentials that may read, write and list below the prefix (for S3 `s3:GetObject`, `s3:PutObject` and "
        "`s3:ListBucket`), or make the folder writable for its user.",
    ),
    ErrorCode(
        "S145",
        "artifact is damaged",
        "The content in the artifact store does not match its digest: a disk fault, or a user has written to it. It was not used.",
        "Remove the named object. `orchestrator promote` stores a package again from a machine that keeps it. `orchestrator package verify FILE --keep` does the same.",
    ),
    ErrorCode(
        "S146",
        "artifact is missing",
        "An object that was put into the artifact store no longer exists.",
        "Copy it from a machine that still keeps it: `orchestrator package verify FILE --keep` stores a package again.",
    ),
    ErrorCode(
        "S180",
        "secret too short or common",
        "A secret has fewer than 6 bytes, or is a common word, a number below 10,000, or a name of the project such as that of a "
        "host. It is masked only where its key is beside it. A secret that is a word of our records, such as `deploy`, is masked in "
        "text, but not where a field of a record is that word.",
        "Choose a longer value for the key that the plan names.",
        Exit.FAILED,
    ),
    ErrorCode(
        "S181",
        "secret used as a name",
        "A secret has the value of something that a plan records of its configuration, such as the name of a setting. The plan could "
        "not be read if it were masked, so no plan was made.",
        "Choose another value for the secret.",
        Exit.FAILED,
    ),
    ErrorCode(
        "S182",
        "write-ahead log not safe",
        "Another program keeps the store with SQLite's write-ahead log. The SQLite of this interpreter has a fault that can corrupt such a "
        "file, so it was neither read nor changed.",
        "Install the extra `server` (`pip install 'orchestrator[server]'`), which has a newer SQLite, or use the interpreter of the other "
        "program. `orchestrator doctor` prints the version.",
        Exit.USAGE,
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
        "The restored backup was made without `--with-secrets`. The project key, the passphrase of the stacks or a secret controller "
        "file is missing, or is another one. Nothing is planned or executed until they are given: a new one could not read what was "
        "restored, or would be another password than the hosts have.",
        "Copy the file to the place that the message names, with the mode 0600. If the project key is lost, `orchestrator keys "
        "rotate` makes a new one; earlier plans are then refused, and controller files that are encrypted with it cannot be read. "
        "Without the passphrase of the stacks their secrets cannot be read. `orchestrator restore --lost NAME` gives up a controller "
        "file that is lost.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "S200",
        "state folder in use",
        "Another `orchestrator prune`, or a backup, is using the state folder. Nothing was removed.",
        "Run the command again when the other one has ended.",
        Exit.BUSY,
    ),
)
