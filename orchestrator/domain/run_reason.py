"""Why a run ended as it did."""

from orchestrator.domain.story import RunView
from orchestrator.domain.text import first_line


def ending_reason(story: RunView) -> str:
    """Why the run ended as it did, in one line: the step that failed, and the last line of its cause."""
    failure = (story.ending or {}).get("failure") or {}
    message = first_line(str(failure.get("message") or story.run.message), 300)
    step = story.steps.get(str(failure.get("step") or ""))
    text = f"{step.label}: {message}" if step is not None and message else message
    where, cause = step.cause() if step is not None else ("", "")
    names_a_test = step is not None and bool(step.bad_tests()) and f"{where}: " in text
    if not where or names_a_test or (cause or where.split(" [")[0]) in text:
        return text
    return f"{text}: {where}: {cause}" if cause else f"{text}: {where}"
