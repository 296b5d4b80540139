"""The application with release management: what front ends get of a project that knows about both."""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.app.application import Application
from orchestrator.app.opening import open_application

if TYPE_CHECKING:
    from orchestrator.app.notification_rules import NotificationSources
    from orchestrator.app.sign_in_links import SignInPlace
    from orchestrator.management.bookings.ports import BookingSources
    from orchestrator.management.change_requests.ports import ChangeSources, ImportFiles
    from orchestrator.management.hooks.ports import HookSources
    from orchestrator.management.hooks.receiving import HookReceiver
    from orchestrator.management.implementation_plans.ports import ImplementationSources
    from orchestrator.management.implementation_plans.works import TaskWorks
    from orchestrator.management.measures.ports import MeasureSources
    from orchestrator.management.planned_releases.notes import NoteSources
    from orchestrator.management.projects.ports import ProjectSources
    from orchestrator.management.projects.served import ServedProject
    from orchestrator.management.reviews.ports import ReviewSources
    from orchestrator.management.trains.ports import TrainSources


class ManagedApplication(Application):
    """An application whose project has release management. `management_wiring` adds the parts."""

    if TYPE_CHECKING:

        @property
        def change_sources(self) -> ChangeSources:
            """The facts of change requests."""

        @property
        def import_files(self) -> ImportFiles:
            """What change requests are imported from: of this machine, also at a server."""

        @property
        def booking_sources(self) -> BookingSources:
            """The facts of bookings."""

        @property
        def release_sources(self) -> NoteSources:
            """The facts of planned releases."""

        @property
        def implementation_sources(self) -> ImplementationSources:
            """The facts of implementation plans."""

        @property
        def task_works(self) -> TaskWorks:
            """Does the work of tasks on this machine."""

        @property
        def review_sources(self) -> ReviewSources:
            """The facts of reviews."""

        @property
        def train_sources(self) -> TrainSources:
            """The facts of release trains."""

        @property
        def notification_sources(self) -> NotificationSources:
            """The project, as notifications need it."""

        @property
        def hook_sources(self) -> HookSources:
            """The project, as hooks need it."""

        @property
        def hook_receiver(self) -> HookReceiver:
            """What receives requests to hooks."""

        @property
        def measure_sources(self) -> MeasureSources:
            """The facts of measures."""

        @property
        def project_sources(self) -> ProjectSources:
            """The projects that are served together."""

        @property
        def sign_in_place(self) -> SignInPlace:
            """Where the users of the project sign in."""

        def serve_with(self, home: "ManagedApplication", projects: tuple[ServedProject, ...]) -> None:
            """From now on, be one of the *projects* of a server, whose users sign in at *home*."""


def open_managed(start: Path) -> ManagedApplication:
    """The application of the project around *start*. Raises F-codes and S135."""
    app = open_application(start)
    assert isinstance(app, ManagedApplication)
    return app
