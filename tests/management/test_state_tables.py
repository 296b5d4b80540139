"""The objects of release management after any commands and deaths: states of their tables, and one message for each fact."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns.state_tables import (
    BOOKING_COMMANDS,
    COMMANDS,
    IMPLEMENTATION_COMMANDS,
    RELEASE_COMMANDS,
    REQUEST_COMMANDS,
    REVIEW_COMMANDS,
    TRAIN_COMMANDS,
    Step,
    World,
    follow,
    main,
    register_of,
)

DEATHS = st.one_of(st.just(0), st.integers(1, 6))


def some(names: dict[str, object]) -> st.SearchStrategy[list[Step]]:
    """Commands among *names* and the passing of time, and where their processes die."""
    return st.lists(
        st.tuples(st.sampled_from(sorted({*names, "now", "later"})), st.integers(0, 11), DEATHS), max_size=14
    )


@pytest.mark.parametrize(
    "names",
    [
        REQUEST_COMMANDS,
        BOOKING_COMMANDS,
        {**RELEASE_COMMANDS, "accept": None},
        TRAIN_COMMANDS,
        REVIEW_COMMANDS,
        {**IMPLEMENTATION_COMMANDS, "start plan": None},
    ],
    ids=["requests", "bookings", "releases", "trains", "reviews", "implementation plans"],
)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_no_commands_and_deaths_leave_the_tables(names: dict[str, object], data: st.DataObject) -> None:
    """Whatever is done to one kind of object, and wherever processes die, states are of its table and no message is twice."""
    follow(World(), data.draw(some(names)))


@given(steps=some(dict.fromkeys(COMMANDS)))
@settings(max_examples=4, deadline=None)
def test_the_tables_hold_in_a_database(steps: list[Step]) -> None:
    """The same for commands about all objects on SQLite, where transactions end at a death as well."""
    with register_of("sqlite") as register:
        follow(World(register), steps)


def test_the_campaign_has_deaths(capsys: pytest.CaptureFixture[str]) -> None:
    """A short campaign of random commands has deaths, and nothing leaves the tables."""
    assert main(["--runs", "6", "--seed", "3"]) == 0
    assert int(capsys.readouterr().out.split(" deaths")[0].split()[-1]) > 5
