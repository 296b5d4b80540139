"""The reason of a failed task: one line from the module's own output, before all of that output."""

from collections.abc import Mapping

GENERIC = ("non-zero return code", "MODULE FAILURE", "Module result deserialization failed", "One or more items failed")
"""Messages that do not contain the reason, which is elsewhere in the result."""
NOISE = ("Shared connection to ", "Connection to ", "mux_client_request_session", "Pseudo-terminal will not")
VIA_SSH = "Failed to connect to the host via ssh:"
STREAMS = ("stderr", "module_stderr", "exception", "stdout", "module_stdout")


def failure_reason(result: Mapping[str, object]) -> str:
    """The reason of a failed task's *result* in its first line, and the whole output of the task after it."""
    items = result.get("results")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            return failure_reason(item)
    message = str(result.get("msg") or "").strip()
    texts = [message, *(str(result[name]).strip() for name in ("stderr", "stdout") if result.get(name))]
    whole = "\n".join(dict.fromkeys(text for text in texts if text))
    first = _first(result, message)
    return whole if not first or whole.startswith(f"{first}\n") or whole == first else f"{first}\n{whole}"


def _first(result: Mapping[str, object], message: str) -> str:
    if message and not _generic(message):
        return _line(message)
    for name in STREAMS:
        lines = _lines(str(result.get(name) or ""))
        if lines:
            code = result.get("rc")
            return f"{lines[-1]} (exit code {code})" if isinstance(code, int) and code else lines[-1]
    code = result.get("rc")
    return f"{message} {code}" if message and isinstance(code, int) else message


def _generic(message: str) -> bool:
    return any(phrase in message.splitlines()[0] for phrase in GENERIC)


def _line(message: str) -> str:
    """The line of a message that names the cause: the first one, or the last one of a traceback or a list."""
    lines = _lines(message)
    if len(lines) > 1 and lines[0].startswith("Traceback "):
        return lines[-1]
    if len(lines) > 1 and lines[0].endswith(":"):
        return f"{lines[0]} {lines[-1]}"
    if len(lines) > 1 and VIA_SSH in lines[0]:  # ssh prints warnings first, and the reason last
        return f"{lines[0].partition(VIA_SSH)[0]}{VIA_SSH} {lines[-1]}"
    return lines[0] if lines else ""


def _lines(text: str) -> list[str]:
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if any(map(str.isalnum, line)) and not line.startswith(NOISE)]
