"""A form of a page with what was entered, and with the error at its field: edits of the text of that page."""

from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import unquote

ERROR_ID = "form-error"
PAGE_FIELD = "form_page"
"""The hidden field with the address of the page that a form is on, where that is not the address of the document."""
NOT_FILLED = frozenset({"hidden", "file", "password", "submit", "button"})
CHOSEN = {"checkbox": "checked", "radio": "checked"}


@dataclass(frozen=True)
class SentForm:
    """The *fields* that were sent to *action*, the address of the *page* with the form, and the error in words.

    *name* is the field that the error is about; empty if it is about the whole form. *code* is that of the error, which
    the page at *about* explains.
    """

    action: str
    page: str
    fields: dict[str, str]
    message: str
    name: str = ""
    code: str = ""
    about: str = ""


@dataclass
class _Found:
    """A form of the page: where its tag ends, the tags around it that are closed, and the *edits* that fill it."""

    end: int
    around: list[tuple[int, int, str]]
    hidden: dict[str, str] = field(default_factory=dict)
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    has_field: bool = False


class FormFiller(HTMLParser):
    """Finds the forms of a page that post to the action of *sent*, and the edits that fill each."""

    def __init__(self, page: str, sent: SentForm) -> None:
        super().__init__(convert_charrefs=False)
        self._page, self._sent = page, sent
        self._lines = [0]
        for line in page.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._closed: list[tuple[int, int, str]] = []
        self._form: _Found | None = None
        self._text: tuple[str, int] | None = None
        self._select = ""
        self._option: tuple[int, str] | None = None
        self.found: list[_Found] = []
        self.posting: list[int] = []
        self.feed(page)

    def _place(self) -> tuple[int, int]:
        """Where the current tag starts and ends."""
        line, column = self.getpos()
        start = self._lines[line - 1] + column
        return start, start + len(self.get_starttag_text() or "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, a field of one, or what may hide a form."""
        start, end = self._place()
        given = {name: value or "" for name, value in attrs}
        if tag == "details":
            self._closed.append((start, end, "" if "open" in given else _tag(tag, {**given, "open": ""})))
        elif tag == "form" and given.get("method") == "post":
            self.posting.append(end)
            if unquote(given.get("action", "").partition("?")[0]) == self._sent.action:
                self._form = _Found(end, [each for each in self._closed if each[2]])
                self.found.append(self._form)
        elif self._form is not None:
            self._note(tag, given, start, end)

    def _note(self, tag: str, given: dict[str, str], start: int, end: int) -> None:
        assert self._form is not None
        name = given.get("name", "")
        if tag == "option" and self._select:
            self._choose(given, start, end)
        elif tag == "select":
            self._select = name
            self._edit(start, end, _tag(tag, {**given, **self._marks(name)}))
        elif tag == "textarea" and name:
            self._text = (name, end)
            self._edit(start, end, _tag(tag, {**given, **self._marks(name)}))
        elif tag == "input" and given.get("type") == "hidden":
            self._form.hidden[name] = given.get("value", "")
        elif tag == "input" and name and given.get("type", "text") not in NOT_FILLED:
            self._fill(given, start, end)

    def _fill(self, given: dict[str, str], start: int, end: int) -> None:
        """Give a field what was entered; the error follows it."""
        name, sent = given["name"], self._sent.fields
        word = CHOSEN.get(given.get("type", "text"))
        marked = {**given, **self._marks(name)}
        if word is None and name in sent:
            marked["value"] = sent[name]
        elif word is not None:
            marked.pop(word, None)
            if sent.get(name) == given.get("value", "on"):
                marked[word] = ""
        self._edit(start, end, _tag("input", marked))
        self._error(name, end)

    def _choose(self, given: dict[str, str], start: int, end: int) -> None:
        if self._select not in self._sent.fields:
            return
        if "value" not in given:
            self._option = (start, self._page[end : self._page.find("<", end)])
        value = given.get("value", self._option[1].strip() if self._option is not None else "")
        plain = {name: text for name, text in given.items() if name != "selected"}
        chosen = {"selected": ""} if value == self._sent.fields[self._select] else {}
        self._edit(start, end, _tag("option", {**plain, **chosen}))

    def handle_endtag(self, tag: str) -> None:
        """Note where an element ends that was noted."""
        line, column = self.getpos()
        start = self._lines[line - 1] + column
        end = self._page.find(">", start) + 1
        if tag == "details" and self._closed:
            self._closed.pop()
        elif tag == "form":
            self._form = None
        elif tag == "select" and self._select:
            self._error(self._select, end)
            self._select = ""
        elif tag == "textarea" and self._text is not None:
            name, begin = self._text
            self._text = None
            if name in self._sent.fields:
                self._edit(begin, start, "\n" + escape(self._sent.fields[name]))
            self._error(name, end)

    def _marks(self, name: str) -> dict[str, str]:
        """The attributes of the field that the error is about."""
        if name != self._sent.name:
            return {}
        return {"aria-invalid": "true", "aria-describedby": ERROR_ID, "autofocus": ""}

    def _error(self, name: str, end: int) -> None:
        if self._form is not None and name and name == self._sent.name and not self._form.has_field:
            self._form.has_field = True
            self._edit(end, end, _error(self._sent))

    def _edit(self, start: int, end: int, text: str) -> None:
        if self._form is not None:
            self._form.edits.append((start, end, text))


def filled_page(page: str, sent: SentForm) -> str | None:
    """*page* with the form that was *sent*, filled and with its error; None if the page does not have that form."""
    read = FormFiller(page, sent)
    fitting = [each for each in read.found if _is_the_form(each, sent.fields)]
    if not fitting:
        return None
    form = fitting[0]
    place = f'<input type="hidden" name="{PAGE_FIELD}" value="{escape(sent.page)}">'
    edits = [*form.around, *form.edits, *((end, end, place) for end in read.posting)]
    if not form.has_field:
        edits.append((form.end, form.end, _error(sent)))
    for start, end, text in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        page = page[:start] + text + page[end:]
    return page


def _is_the_form(form: _Found, fields: dict[str, str]) -> bool:
    """Whether *fields* are of this form, and not of another with the same action: by its hidden fields."""
    return all(fields.get(name, value) == value for name, value in form.hidden.items() if name not in CHANGING)


CHANGING = frozenset({"form_token", "shown", PAGE_FIELD})
"""Hidden fields that differ between two readings of one page."""


def _error(sent: SentForm) -> str:
    link = f' (<a class="link" href="{escape(sent.about)}">{escape(sent.code)}</a>)' if sent.about else ""
    return f'<p class="bad small" role="alert" id="{ERROR_ID}">{escape(sent.message)}{link}</p>'


def _tag(name: str, attributes: dict[str, str]) -> str:
    return "<" + " ".join([name, *(f'{key}="{escape(value)}"' for key, value in attributes.items())]) + ">"
