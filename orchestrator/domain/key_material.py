"""Private keys, tokens and files of passwords, recognised by their form: they do not belong into a package.

The forms of tokens are those of the rules of gitleaks (https://github.com/gitleaks/gitleaks, MIT licence), reduced to
what has an unmistakable form, and written anew. Each rule has literal *anchors*: without one of them in the data its
pattern is not tried. A placeholder in a document (`EXAMPLE`, one letter repeated) does not count.

Public keys, certificates, and what Ansible Vault, SOPS, age or GPG has encrypted have none of these forms.
"""

import base64
import binascii
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.key_files import in_named_file
from orchestrator.domain.key_stores import key_store

Data = bytes | mmap.mmap
ENCRYPTED = b"$ANSIBLE_VAULT;"
HEAD = 8192  # bytes, in which a binary file has a zero byte
LONGEST_KEY = 64 * 1024  # bytes of one private key in PEM
LARGEST_WIDE = 4 * 1024 * 1024  # bytes of a text in UTF-16
NO_SECRET = re.compile(
    rb"example|placeholder|changeme|redacted|dummy|x{8}|\.{3}|your[-_]|0123456789|1234567890|abcdefghij", re.IGNORECASE
)
PUBLISHED = {
    b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",  # Azurite, by default
}
"""Keys that a tool documents, and that open nothing."""


@dataclass(frozen=True)
class Finding:
    """What was found in a file, and in which *line* of it; None in a binary file."""

    what: str
    line: int | None = None


@dataclass(frozen=True)
class Rule:
    """One form of key material.

    Attributes:
        what: its name, with an article.
        anchors: literals of which the data has one.
        pattern: its form; the group `value` is the secret.
        check: whether a match counts.
        binary: whether it is searched for in binary files as well.
    """

    what: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    check: Callable[[re.Match[bytes]], bool]
    binary: bool = False


def key_material(name: str, data: Data, *, executable: bool = False) -> list[Finding]:
    """What of key material the file *name* holds: at most one finding of each kind.

    *executable* is whether the file is a program: one that prints a password is not a file with a password.
    """
    if data[: len(ENCRYPTED)] == ENCRYPTED:
        return []
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} and len(data) <= LARGEST_WIDE:
        data = data[:].decode("utf-16", "replace").encode()
    store = key_store(data)
    if store is not None:
        return [Finding(store)]
    found = (
        [] if (named := in_named_file(name, data, executable)) is None else [Finding(named[0], _line(data, named[1]))]
    )
    binary = b"\0" in data[:HEAD]
    for rule in RULES:
        if (rule.binary or not binary) and any(data.find(anchor) >= 0 for anchor in rule.anchors):
            match = next((match for match in rule.pattern.finditer(data) if rule.check(match)), None)
            if match is not None:
                found.append(Finding(rule.what, None if binary else _line(data, match.start())))
    return found


def _line(data: Data, offset: int) -> int:
    return data[:offset].count(b"\n") + 1


# -- checks of matches -------------------------------------------------------------------------------------------------


def is_secret(value: bytes) -> bool:
    """Whether *value* can be a secret: it is not a word of a document, and not a few letters repeated."""
    return len(set(value)) >= 8 and NO_SECRET.search(value) is None and value not in PUBLISHED


def _value(match: re.Match[bytes]) -> bool:
    return is_secret(match["value"])


def _always(_match: re.Match[bytes]) -> bool:
    return True


BODY = re.compile(rb"[A-Za-z0-9+/=]+")
HEADER = re.compile(rb"^[ \t\"']*[A-Za-z][A-Za-z-]*: .*$", re.MULTILINE)
GLUE = re.compile(rb"[\s\"',]+|\\(?=\s|$)")
SHORTEST_BODY, SHORTEST_LINE = 32, 40  # characters: of a whole key, and of the first line of one that is cut off


def _pem(match: re.Match[bytes]) -> bool:
    """Whether a private key follows the line that announces one: its body is base64, and not dots in its place."""
    text = match.string[match.end() : match.end() + LONGEST_KEY]
    text = text.replace(b"\\r", b"").replace(b"\\n", b"\n")
    body, end, _ = text.partition(b"-----END ")
    if end:
        plain = GLUE.sub(b"", HEADER.sub(b"", body))
        return len(plain) >= SHORTEST_BODY and len(set(plain)) >= 8 and BODY.fullmatch(plain) is not None
    words = GLUE.split(HEADER.sub(b"", text[:1024]).strip(), 1)
    return len(words[0]) >= SHORTEST_LINE and BODY.fullmatch(words[0]) is not None and is_secret(words[0])


def _pem_in_base64(match: re.Match[bytes]) -> bool:
    """Whether a text in base64 is a private key in PEM, as Kubernetes writes them."""
    letters = re.sub(rb"\s", b"", match[0]).rstrip(b"=")
    try:
        text = base64.b64decode(letters[: len(letters) // 4 * 4])
    except (binascii.Error, ValueError):
        return False
    found = PEM.search(text)
    return found is not None and re.match(rb"\s*(?:[A-Za-z0-9+/]{16}|Proc-Type:)", text[found.end() :]) is not None


def _docker(match: re.Match[bytes]) -> bool:
    try:
        return b":" in base64.b64decode(match["value"], validate=True)
    except (binascii.Error, ValueError):
        return False


# -- the rules ---------------------------------------------------------------------------------------------------------

PEM = re.compile(rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")


def _token(what: str, *anchors: bytes, form: bytes) -> Rule:
    """A token with a form of its own, that starts with one of *anchors*."""
    return Rule(what, anchors, re.compile(rb"(?<![A-Za-z0-9_])(?P<value>" + form + rb")(?![A-Za-z0-9_])"), _value)


RULES: tuple[Rule, ...] = (
    Rule("a private key (PEM)", (b"PRIVATE KEY",), PEM, _pem, binary=True),
    Rule(
        "a private key (PEM, in base64)",
        (b"LS0tLS1CRUdJTi",),
        re.compile(rb"LS0tLS1CRUdJTi[A-Za-z0-9+/\s]{60,8192}"),
        _pem_in_base64,
    ),
    Rule(
        "a private key (PuTTY)",
        (b"PuTTY-User-Key-File-",),
        re.compile(rb"^PuTTY-User-Key-File-\d: .*\r?\n(?:.*\r?\n){1,60}Private-Lines: ", re.MULTILINE),
        _always,
    ),
    Rule(
        "a private key (WireGuard)",
        (b"PrivateKey",),
        re.compile(rb"^[ \t]*PrivateKey[ \t]*=[ \t]*(?P<value>[A-Za-z0-9+/]{43}=)[ \t]*\r?$", re.MULTILINE),
        _value,
    ),
    _token("a private key (age)", b"AGE-SECRET-KEY-1", form=rb"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    Rule(
        "a secret access key of AWS",
        (b"ecret_access_key", b"SECRET_ACCESS_KEY", b"ecretAccessKey", b"aws_secret", b"AWS_SECRET"),
        re.compile(
            rb"(?:aws_?secret_?key|secret_?access_?key)[\"']?[ \t]*(?:=>|[:=])[ \t]*[\"']?"
            rb"(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
            re.IGNORECASE,
        ),
        _value,
    ),
    Rule(
        "a secret access key of AWS",
        (b"AKIA", b"ASIA"),
        re.compile(rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}[ \t]*[,;:\t][ \t]*(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
        _value,
    ),
    Rule(
        "an account key of Azure",
        (b"AccountKey", b"SharedAccessKey"),
        re.compile(rb"\b(?:AccountKey|SharedAccessKey)=(?P<value>[A-Za-z0-9+/]{43}={1,2}|[A-Za-z0-9+/]{86}==)"),
        _value,
    ),
    Rule(
        "a client secret of Azure",
        (b"Q~",),
        re.compile(
            rb"(?:^|[\\'\"`\s>=:(,])(?P<value>[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?=$|[\\'\"`\s<),])",
            re.MULTILINE,
        ),
        _value,
    ),
    Rule(
        "a refresh token of Google Cloud",
        (b"refresh_token",),
        re.compile(rb"\"refresh_token\"\s*:\s*\"(?P<value>1//[A-Za-z0-9_-]{20,})\""),
        _value,
    ),
    _token("a client secret of Google Cloud", b"GOCSPX-", form=rb"GOCSPX-[A-Za-z0-9_-]{28}"),
    _token(
        "a token of GitHub",
        b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_",
        form=rb"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    ),
    _token(
        "a token of GitLab",
        b"glpat-", b"gldt-", b"glptt-", b"glrt-", b"glcbt-", b"glsoat-", b"glimt-", b"glagent-",
        form=rb"gl(?:pat|dt|ptt|rt|cbt|soat|imt|agent)-[A-Za-z0-9_.=-]{20,255}",
    ),
    _token(
        "a token of Slack",
        b"xox", b"xapp-",
        form=rb"xox(?:[abopsr]|e\.xox[bp])-[0-9]+-[A-Za-z0-9-]{16,}|xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{16,}",
    ),
    Rule(
        "a webhook of Slack",
        (b"hooks.slack.com/",),
        re.compile(rb"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<value>T\w{8,}/[AB]?\w{8,}/\w{20,})"),
        _value,
    ),
    _token("a token of Pulumi", b"pul-", form=rb"pul-[a-f0-9]{40}"),
    _token("a token of npm", b"npm_", form=rb"npm_[A-Za-z0-9]{36}"),
    _token("a token of PyPI", b"pypi-AgE", form=rb"pypi-AgE[A-Za-z0-9_-]{50,1000}"),
    _token("a token of Docker Hub", b"dckr_pat_", b"dckr_oat_", form=rb"dckr_[po]at_[A-Za-z0-9_-]{27,64}"),
    _token("a token of Vault", b"hvs.", b"hvb.", form=rb"hv[sb]\.[A-Za-z0-9_-]{90,300}"),
    _token("a token of Terraform", b".atlasv1.", form=rb"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}"),
    _token("a token of DigitalOcean", b"dop_v1_", b"doo_v1_", b"dor_v1_", form=rb"do[opr]_v1_[a-f0-9]{64}"),
    _token("a secret key of Stripe", b"sk_live_", b"rk_live_", form=rb"[rs]k_live_[A-Za-z0-9]{24,99}"),
    Rule(
        "a password of a container registry",
        (b'"auths"',),
        re.compile(rb"\"auth\"\s*:\s*\"(?P<value>[A-Za-z0-9+/]{8,}={0,2})\""),
        _docker,
    ),
    Rule(
        "a token of a Kubernetes cluster",
        (b"kind: Config",),
        re.compile(rb"^[ \t]+token:[ \t]*[\"']?(?P<value>[A-Za-z0-9._-]{20,})[\"']?[ \t]*\r?$", re.MULTILINE),
        _value,
    ),
)  # fmt: skip
