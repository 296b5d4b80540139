"""Codes N…: the server, its sign-in and its requests."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "N101",
        "server not installed",
        "`orchestrator serve` needs packages that other commands do not.",
        "`pip install 'orchestrator[server]'`.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "N102",
        "browser file missing or changed",
        "A third-party file that pages need is missing, or differs from the one in `assets.lock`. The server does not start with other files.",
        "Install the wheel again. In a checkout of the source: `python3 tools/assets.py`.",
    ),
    ErrorCode(
        "N103",
        "address not on loopback",
        "Without TLS the server accepts connections from this machine only: passwords and tokens would be readable in the network.",
        "Use `--host 127.0.0.1`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "N110",
        "invalid request",
        "A parameter, header or body of the request has an invalid value.",
        "The message names it. `/api/openapi.json` describes every request.",
        Exit.USAGE,
    ),
    ErrorCode(
        "N111",
        "unknown address",
        "The server has no page or resource at this address.",
        "`/` is the first page, and `/api/openapi.json` lists the resources.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "N112",
        "method not allowed",
        "The resource does not have this HTTP method.",
        "The header `Allow` lists the methods that it has.",
        Exit.USAGE,
    ),
    ErrorCode(
        "N120",
        "not signed in",
        "The request has neither a valid token nor a valid session. A session ends after 12 hours without a request, and after 7 days.",
        "Sign in, or send a token: `Authorization: Bearer TOKEN`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "N121",
        "sign-in refused",
        "The name or the password is wrong, or the user is disabled.",
        "Try again. An administrator can make a new one-time link: `orchestrator people reset-password NAME`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "N122",
        "form not accepted",
        "The form was not sent from a page of this server, or its session has ended meanwhile.",
        "Load the page again, and repeat the change.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "N123",
        "too many failed sign-ins",
        "After five failed sign-ins each further one doubles the delay of the account and of the address, up to 15 minutes.",
        "Wait for the time in the message.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "N124",
        "one-time link not valid",
        "A one-time link is valid for one hour and for one use. The link for the first administrator ends with the first binding.",
        "An administrator makes a new one: `orchestrator people reset-password NAME`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "N125",
        "name or password not possible",
        "A password has 12 to 256 characters. The name of a user has lower-case letters, digits, dots, dashes and underscores.",
        "Choose another one.",
        Exit.USAGE,
    ),
)
