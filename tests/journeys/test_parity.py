"""How staging and production differ is named, and what is meant to differ is allowed by name."""

import json

import jsonschema
import pytest

from tests.journeys.conftest import ROOT, Project


@pytest.mark.timeout(900)
def test_differences_are_named_and_allowed(running: Project) -> None:
    """`parity` names what differs between staging and production (exit 1); what the allow-list names is told apart (exit 0); a configuration key that only production has is named, and as a gate it keeps a release out (exit 3) until it is allowed."""
    running.put("1.0.0")
    found = running.run("parity", "staging", "production", "--json", code=1).json
    jsonschema.validate(found, json.loads((ROOT / "docs/schemas/parity.json").read_text()))
    assert found["unknown"] == []
    named = {(item["kind"], item["name"]): (item["left"], item["right"]) for item in found["differences"]}
    assert named["hosts", "web"] == ("1", "2")
    assert ("file", "__main__.py") in named
    assert not [kind for kind, _ in named if kind in {"fact", "release", "group", "package"}]

    running.run("promote", "releases/1.1.0", "--to", "staging")
    file = running.root / "environments/production/environment.yaml"
    config = running.root / "environments/production/Pulumi.production.yaml"
    text = file.read_text()
    allow = ["hosts", "file:__main__.py", "file:Pulumi.yaml", "variable:web.shop_tax", "release", "fact:cpus"]
    try:
        file.write_text(f"{text}parity: {{with: staging, allow: {json.dumps(allow)}}}\nrequire: {{parity: true}}\n")
        config.write_text("config:\n  production:zone: eu\n")
        said = running.run("parity", "staging", "production", code=1).out
        assert "staging and production: 1 difference\n" in said
        assert "config zone is only in production" in said
        assert "allowed: hosts web: 1 in staging, 2 in production" in said
        assert "allowed, and does not differ: fact:cpus" in said
        refused = running.run("promote", "1.1.0", "--to", "production", code=3).err
        assert "config zone is only in production" in refused
        assert set(running.releases("production").values()) == {"1.0.0"}
        config.unlink()
        running.run("parity", "staging", "production")
        running.run("promote", "1.1.0", "--to", "production")
    finally:
        file.write_text(text)
        config.unlink(missing_ok=True)
