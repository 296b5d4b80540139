"""Text of users that would act in a browser: in a real one, nothing of it is executed."""

from concurrent.futures import ThreadPoolExecutor

from tests.browser.conftest import Served
from tests.server.hostile_text import send_bodies, send_forms
from tests.server.test_hostile_text import API, BODIES, VALID, lay

ACTING = (
    'document.querySelectorAll(\'[href^="javascript:" i], [src^="javascript:" i], iframe, object, embed, base\').length'
)
"""How many elements of a page would act: no page has one."""


def test_no_text_is_executed(served: Served) -> None:
    """Every page with payloads in every field opens without a script, a dialog, or a report of its policy, also without one."""
    with ThreadPoolExecutor() as threads:  # the browser has an event loop in this one
        pages = threads.submit(filled, served).result()
    for page in (served.page("eve"), served.page("eve", bypass_csp=True)):
        for path in pages:
            if not path.startswith(("/sign-in", "/link/")):
                page.goto(f"{served.address}{path}")
                assert page.evaluate(ACTING) == 0, path
                assert [each for each in served.problems if "status of 4" not in each] == [], path


def filled(served: Served) -> list[str]:
    """The pages of a project whose fields all have payloads."""
    eve, pages = lay(served.office, served.site)
    send_bodies(eve, {f"{API}{path}": body for path, body in BODIES.items()})
    send_forms(eve, pages, VALID)
    return pages
