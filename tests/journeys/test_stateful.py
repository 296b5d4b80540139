"""A database in the infrastructure: it stays when a release goes back, and goes only by its name."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.journeys.conftest import AGAIN, Project, lay_shop

PROGRAM = '''"""Web hosts, and the orders' database beside them."""

import os
import secrets

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from orchestrator.hosts import LoopbackHost, inventory


class Databases(ResourceProvider):
    def create(self, props):
        path = os.path.join(os.environ["ORDERS_DATABASES"], f"{props['size']}-{secrets.token_hex(4)}")
        with open(path, "w") as file:
            file.write("every order there ever was")
        return CreateResult(path, props)

    def diff(self, _id, old, new):
        other = old["size"] != new["size"]
        return DiffResult(changes=other, replaces=["size"] if other else [])

    def delete(self, id, _props):
        os.remove(id)


class Database(Resource):
    def __init__(self, name, size, opts=None):
        super().__init__(Databases(), name, {"size": size}, opts)


Database("orders-db", "small")
count = pulumi.Config().require_int("hosts")
web = [LoopbackHost(f"web{number}", variables={"shop_tax": "7,5"} if number == 1 else None)
       for number in range(1, count + 1)]
pulumi.export("ansible_inventory", inventory(web=web, variables={"shop_tax": "7.5"}))
'''
pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("stateful")]
SIZE = 'Database("orders-db", "small")', 'Database("orders-db", "large")'
HOSTS = "default: 2", "default: 3"
PRODUCTION = "environments/production"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, store: Callable[[], dict[str, str]]) -> Iterator[Project]:
    """The shop with a database in production that holds state; 1.0.0 everywhere, and 1.2.0, which breaks on web1, verified in staging."""
    top = tmp_path_factory.mktemp("stateful")
    made = Project(top / "project", env={**store(), "ORDERS_DATABASES": str(top / "databases")})
    made.root.mkdir()
    (top / "databases").mkdir()
    try:
        lay_shop(made)
        made.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
        made.replace(f"{PRODUCTION}/Pulumi.yaml", "default: 4", "default: 2")
        made.write(f"{PRODUCTION}/__main__.py", PROGRAM)
        rule = "pulumi:\n  environment: [ORDERS_DATABASES]\n  stateful: [{name: orders-db}]"
        rule = f"isolation: {{write: [{top / 'databases'}]}}\n{rule}"
        made.replace(f"{PRODUCTION}/environment.yaml", "pulumi:", rule)
        made.run("promote", "releases/1.0.0")
        made.run("promote", "releases/1.2.0", "--to", "staging")
        yield made
    finally:
        made.clean()


def databases(shop: Project) -> list[str]:
    return sorted(path.name for path in (shop.root.parent / "databases").iterdir())


def names(shop: Project) -> list[str]:
    return [step["name"] for step in shop.story("production")["steps"]]


def _dies(shop: Project, *words: str) -> str:
    """A promotion into production whose process dies when the first batch is there; its run."""
    shop.env["ORCHESTRATOR_CRASH"] = "production.deploy.1:recorded"
    try:
        assert shop.run(*words, code=None).code < 0
    finally:
        del shop.env["ORCHESTRATOR_CRASH"]
    return str(shop.status("production")["last_run"]["id"])


def test_the_database_stays(shop: Project) -> None:
    """What goes back goes back in order, hosts first, then the stack, and never the database; a promotion replaces it only by its name, and then no rollback does it again, as `plan --rollback` says beforehand."""
    before = databases(shop)
    shop.replace(f"{PRODUCTION}/Pulumi.yaml", *HOSTS)
    try:
        shop.run("promote", "releases/1.2.0", "--to", "production", code=4)
    finally:
        shop.replace(f"{PRODUCTION}/Pulumi.yaml", *reversed(HOSTS))
    assert shop.releases("production") == {"web1": "1.0.0", "web2": "1.0.0"}
    assert databases(shop) == before
    told = names(shop)
    order = [told.index(name) for name in ("provision", "deploy.1", "restore.deploy", "restore.stack")]
    assert order == sorted(order)
    assert "verify.smoke.restored" in told[order[-1] :]

    shop.replace(f"{PRODUCTION}/__main__.py", *SIZE)
    plan = shop.run("plan", "releases/1.2.0", "--to", "production", "--no-check")
    first = plan.out.splitlines()[1]
    assert "would replace pulumi-python:dynamic:Resource orders-db (stateful by its name orders-db)" in first
    assert "--replace orders-db" in first
    refused = shop.run("promote", "releases/1.2.0", "--to", "production", *AGAIN, code=3)
    assert "R200" in refused.err
    assert "--replace orders-db" in refused.err
    assert databases(shop) == before

    shop.run("plan", "releases/1.2.0", "--to", "production", "--no-check", "--replace", "orders-db", "-o", "plan.json")
    run = _dies(shop, "promote", "--plan", "plan.json", *AGAIN)
    foreseen = shop.run("plan", "--rollback", "production").out
    assert "by a current preview of Pulumi, it would replace pulumi-python:dynamic:Resource orders-db" in foreseen
    assert "the infrastructure would stay, and" in foreseen
    said = shop.run("resume", run, code=5)
    assert "a rollback would replace pulumi-python:dynamic:Resource orders-db" in said.err + said.out
    assert shop.releases("production") == {"web1": "1.0.0", "web2": "1.0.0"}
    [large] = databases(shop)
    assert large.startswith("large")
    story = shop.story("production")
    assert story["run"]["state"] == "needs intervention"
    assert [loss["name"] for loss in story["planned"]["losses"]] == ["orders-db"]
    assert {step["name"]: step["code"] for step in story["steps"]}["restore.stack"] == "R202"

    shop.run("promote", "releases/1.0.0", "--to", "production")  # by the program as it is now: that settles it
    assert shop.status("production")["last_run"]["state"] == "succeeded"
    assert databases(shop) == [large]


@pytest.mark.rare
def test_an_environment_by_itself_loses_it_only_by_its_name(shop: Project) -> None:
    """`environment up` and `environment destroy` are refused where the database would go, with nothing changed, until it is named."""
    file = shop.root / PRODUCTION / "__main__.py"
    text, before = file.read_text(), databases(shop)
    change = SIZE if SIZE[0] in text else SIZE[::-1]
    shop.replace(f"{PRODUCTION}/__main__.py", *change)
    for verb, code, option in (("up", "R230", "--replace"), ("destroy", "R231", "--delete")):
        refused = shop.run("environment", verb, "production", "--yes", code=3).err
        assert code in refused
        assert f"{option} orders-db" in refused
    assert databases(shop) == before
    for _ in range(2):  # and back, for whoever comes next
        shop.run("environment", "up", "production", "--yes", "--replace", "orders-db")
        file.write_text(text)
    assert databases(shop) != before
    assert databases(shop)[0].partition("-")[0] == before[0].partition("-")[0]


def test_a_point_of_no_return_stops_the_rollback_and_says_what_to_do(shop: Project) -> None:
    """A step that cannot be undone is said first and needs its name; once it has begun, a failure stops there and says what would help."""
    made = _without_return(shop)
    plan = shop.run("plan", made, "--to", "staging", "--no-check", "--json").json
    assert list(plan).index("points_of_no_return") < list(plan).index("steps")
    assert plan["points_of_no_return"] == ["deploy"]
    before = shop.releases("staging")
    refused = shop.run("promote", made, "--to", "staging", code=3)
    assert "--point-of-no-return deploy" in refused.err
    assert shop.releases("staging") == before
    strange = shop.run("promote", made, "--to", "staging", "--point-of-no-return", "nothing", code=2)
    assert "R206" in strange.err
    shop.run("promote", made, "--to", "staging", "--point-of-no-return", "deploy")
    said = shop.run("promote", made, "--to", "production", "--point-of-no-return", "deploy", code=5)
    assert "deploy cannot be undone" in said.err + said.out
    assert "orchestrator rollback production --skip-irreversible" in said.out
    shop.run("rollback", "production", "--yes", code=3)
    shop.run("rollback", "production", "--yes", "--skip-irreversible")
    assert shop.releases("production") == {"web1": "1.0.0", "web2": "1.0.0"}


def _without_return(shop: Project) -> str:
    """1.2.0 once more as 1.3.0, with a step that cannot be undone; its folder."""
    for folder in ("releases", "app"):
        shutil.copytree(shop.root / folder / "1.2.0", shop.root / folder / "1.3.0")
    shop.replace("app/1.3.0/server.py", '"1.2.0"', '"1.3.0"')
    file = "releases/1.3.0/release.yaml"
    shop.replace(file, 'version: "1.2.0"', 'version: "1.3.0"')
    shop.replace(file, "shop-1.2.0", "shop-1.3.0")
    shop.replace(file, "hosts: web\n", "hosts: web\n    undo: impossible\n")
    subprocess.run([sys.executable, "app/build.py", "1.3.0"], cwd=shop.root, check=True, capture_output=True)
    return "releases/1.3.0"
