"""Implementation plans of steps in a package: their templates are sealed with it, and can be started."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.implementation_checks import check_implementations
from orchestrator.config.implementation import load_implementation
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.release import Release

HEAD = "apiVersion: orchestrator/v1\nkind: ImplementationTemplate\ntitle: Switch\ntasks: [{name: names}]\n"
DEPLOY = {"name": "deploy", "playbook": "playbooks/deploy.yml"}
SWITCH = {"name": "switch", "implementation": "implementation/switch.yaml", "undo": "implementation/back.yaml"}


def written(shop: Any, parameters: str = "", back: str = "") -> None:
    shop.files({"implementation/switch.yaml": HEAD + parameters, "implementation/back.yaml": HEAD + back})


def test_templates_are_sealed_with_the_package(shop: Any) -> None:
    """Both templates of a step are in the package, so another template is another digest."""
    written(shop)
    package = shop.build(steps=[DEPLOY, SWITCH])
    assert {"implementation/switch.yaml", "implementation/back.yaml"} <= {file.path for file in package.manifest.files}
    step = package.manifest.release.implementation_steps[0]
    assert (step.implementation, step.undo) == (SWITCH["implementation"], SWITCH["undo"])
    written(shop, back="description: By hand\n")
    assert shop.build(steps=[DEPLOY, SWITCH], replace=True).digest != package.digest


def test_a_template_beside_the_release_comes_first(shop: Any) -> None:
    """A path is relative to the release first, as that of a playbook is, and the package has it below the project."""
    written(shop)
    shop.files({"releases/shop/implementation/switch.yaml": HEAD})
    step = shop.build(steps=[DEPLOY, SWITCH]).manifest.release.implementation_steps[0]
    assert step.implementation == "releases/shop/implementation/switch.yaml"


@pytest.mark.parametrize("missing", ["implementation/switch.yaml", "implementation/back.yaml"])
def test_a_missing_template_ends_the_build(shop: Any, missing: str) -> None:
    """A template that is not a file is named by the error."""
    written(shop)
    (shop.project / missing).unlink()
    with pytest.raises(OrchestratorError, match=missing.rpartition("/")[2]):
        shop.build(steps=[DEPLOY, SWITCH])


def checked(shop: Any, **changes: Any) -> None:
    release: Release = shop.release(steps=[DEPLOY, {**SWITCH, **changes}])
    check_implementations(shop.project, release, "staging", load_implementation)


@pytest.mark.parametrize(
    ("parameters", "back", "given", "wrong"),
    [
        ("", "", {}, ""),
        ("parameters: {zone: {}}\n", "", {"zone": "a"}, ""),
        ("parameters: {environment: {}, version: {}}\n", "parameters: {environment: {}}\n", {}, ""),
        ("parameters: {zone: {}}\n", "parameters: {zone: {}}\n", {"zone": "a"}, ""),
        ("parameters: {zone: {}}\n", "", {}, "a value is missing for: zone"),
        ("", "", {"zone": "a"}, "the plan has no parameter zone"),
        ("", "parameters: {zone: {}}\n", {}, "a value is missing for: zone"),
    ],
)
def test_every_parameter_has_a_value(shop: Any, parameters: str, back: str, given: dict[str, str], wrong: str) -> None:
    """The step gives all parameters of its template, the run those of environment and version; an undo takes what it has."""
    written(shop, parameters, back)
    if not wrong:
        checked(shop, parameters=given)
        return
    with pytest.raises(OrchestratorError, match=wrong) as caught:
        checked(shop, parameters=given)
    assert caught.value.code == "G401"


def test_a_wrong_template_is_refused(shop: Any) -> None:
    """A template with a fault is refused with the place of the fault; words in place of an undo are no files."""
    written(shop)
    checked(shop, undo="nothing")
    file: Path = shop.project / "implementation/back.yaml"
    file.write_text(HEAD.replace("title", "titel"))
    checked(shop, undo="impossible")
    with pytest.raises(OrchestratorErrors) as caught:
        checked(shop)
    assert "titel" in str(caught.value)
