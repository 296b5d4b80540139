"""Files that hold passwords by their name: `.env`, `.netrc`, `.pgpass`, files with vault passwords, and the like.

The name alone does not count. Such a file counts if it has a value that can be a password: a template, a reference to a
variable and an empty value cannot be one.
"""

import mmap
import re
from collections.abc import Callable

Data = bytes | mmap.mmap
Place = tuple[str, int]
"""What was found, and at which offset."""

LARGEST = 1024 * 1024  # bytes of such a file
PROJECT_KEY = 32  # bytes
VAULT_PASSWORD = re.compile(
    r"[._]?(?:ansible[-_.]?)?vault[-_.]?(?:pass|passwd|password|pw|secret|key)(?:[-_.]?file)?(?:[-_.](?!ya?ml|json|j2)[a-z0-9]+)*",
    re.IGNORECASE,
)
ENV_NAMED = re.compile(r"\.env(?:rc)?(?:\..+)?|.+\.env", re.IGNORECASE)
ENV_SAMPLE = re.compile(r"(?:^|[._-])(?:example|sample|template|tpl|dist|defaults?|j2)(?:$|[._-])", re.IGNORECASE)
ASSIGNED = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*(?P<value>\S.*?)[ \t]*\r?$", re.MULTILINE
)
SECRET_KEY = re.compile(
    rb"(?:^|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|PW|PWD|SECRETS?|TOKEN|CREDENTIALS?|(?:API|PRIVATE|ACCESS|AUTH|SECRET|ENCRYPTION"
    rb"|SIGNING|MASTER|APP)_?KEY)(?:_|$|\d)|PASSWORD|APIKEY|SECRET",
    re.IGNORECASE,
)
NAMES_A_FILE = re.compile(rb"_(?:FILE|PATH|DIR|URL|NAME|ID|TTL|LENGTH|EXPIR\w*|HEADER)$", re.IGNORECASE)
IN_URL = re.compile(rb"[a-z][a-z0-9+.-]*://[^\s:/@]*:(?P<value>[^\s@/]+)@", re.IGNORECASE)
NO_VALUE = re.compile(
    rb"""^["']?(?:$|\$|\{\{|%[({]|<|\*+["']?$|!vault|ENC\[|x{3,}|change[-_]?me|your[-_]|(?:example|placeholder|todo|none|null|true|false|yes|no)["']?$)""",
    re.IGNORECASE,
)
PASSWORDS: dict[str, tuple[str, re.Pattern[bytes]]] = {
    ".netrc": ("a password of a server", re.compile(rb"(?:^|\s)password\s+(?P<value>\S+)")),
    ".my.cnf": ("a password of MySQL", re.compile(rb"^[ \t]*password[ \t]*=[ \t]*(?P<value>\S+)", re.MULTILINE)),
    ".git-credentials": ("a password of a Git server", re.compile(rb"https?://[^\s:/@]*:(?P<value>[^\s@]+)@")),
    ".npmrc": ("a password of npm", re.compile(rb"_(?:authToken|auth|password)[ \t]*=[ \t]*(?P<value>\S+)")),
    ".pypirc": (
        "a password of a package index",
        re.compile(rb"^[ \t]*password[ \t]*[:=][ \t]*(?P<value>\S+)", re.MULTILINE),
    ),
    ".s3cfg": ("a secret key of S3", re.compile(rb"^[ \t]*secret_key[ \t]*=[ \t]*(?P<value>\S+)", re.MULTILINE)),
    ".pgpass": (
        "a password of PostgreSQL",
        re.compile(rb"^(?!#)(?:(?:[^:\\\r\n]|\\.)+:){4}(?P<value>[^\r\n]+)$", re.MULTILINE),
    ),
    ".vault-token": ("a token of Vault", re.compile(rb"\A\s*(?P<value>\S{8,})\s*\Z")),
}  # fmt: skip
OTHER_NAMES = {"_netrc": ".netrc", "pgpass.conf": ".pgpass", "my.cnf": ".my.cnf"}


def in_named_file(name: str, data: Data, executable: bool) -> Place | None:
    """What the file *name* holds, by its name, and where; None if it has no value that can be a password."""
    last = name.rsplit("/", 1)[-1]
    if len(data) > LARGEST:
        return None
    text = data[:]
    if last == "project.key" and len(text) == PROJECT_KEY:
        return "a project key of the orchestrator", 0
    if VAULT_PASSWORD.fullmatch(last) and not executable and not text.startswith(b"#!"):
        return _vault_password(text)
    if ENV_NAMED.fullmatch(last) and not ENV_SAMPLE.search(last):
        return _assignment(text)
    what, pattern = PASSWORDS.get(OTHER_NAMES.get(last.lower(), last.lower()), (None, None))
    return _first(text, what, pattern, lambda match: can_be_password(match["value"])) if what and pattern else None


def can_be_password(value: bytes) -> bool:
    """Whether *value* can be a password: not empty, not a template, not a reference to a variable."""
    return NO_VALUE.match(value) is None and len(value.strip(b"\"'")) > 0


def _first(
    text: bytes, what: str, pattern: re.Pattern[bytes], check: Callable[[re.Match[bytes]], bool]
) -> Place | None:
    match = next((match for match in pattern.finditer(text) if check(match)), None)
    return None if match is None else (what, match.start("value"))


def _vault_password(text: bytes) -> Place | None:
    """A file with one word or line is a password; one with several may be anything."""
    lines = [line for line in text.splitlines() if line.strip()]
    plain = len(lines) == 1 and len(lines[0]) <= 4096 and b"\0" not in text and can_be_password(lines[0].strip())
    return ("a password of Ansible Vault", text.find(lines[0])) if plain else None


def _assignment(text: bytes) -> Place | None:
    def secret(match: re.Match[bytes]) -> bool:
        key, value = match["key"], match["value"]
        if (url := IN_URL.search(value)) is not None and can_be_password(url["value"]):
            return True
        return bool(SECRET_KEY.search(key)) and not NAMES_A_FILE.search(key) and can_be_password(value)

    return _first(text, "a password in a file of environment variables", ASSIGNED, secret)
