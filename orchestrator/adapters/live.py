"""The three engines as they really are: the only place where Pulumi, Ansible and testinfra adapters are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.adapters.views import Views
from orchestrator.ports import Artifacts, Deployer, Jobs, Keys, NullArtifacts, Provisioner, Verifier
from orchestrator.secret_values import SecretValues

if TYPE_CHECKING:
    from orchestrator.adapters.ansible.deployer import AnsibleDeployer


@dataclass(frozen=True)
class LiveEngines:
    """Makes the adapters of one project. Each is imported when it is made for the first time.

    Args:
        jobs: runs their processes.
        state: the project's folder for everything that is kept.
        root: the project's folder.
        collections: the folder that holds the collection.
        environ: the environment variables to act under.
        artifacts: what several machines share.
        keys: encrypt what is shared.
        secrets: gets the secrets that the adapters read.
        views: what their processes find of this machine.
    """

    jobs: Jobs
    state: Path
    root: Path
    collections: Path
    environ: Mapping[str, str]
    artifacts: Artifacts
    keys: Keys
    secrets: SecretValues
    views: Views

    def provisioner(self) -> Provisioner:
        """Pulumi."""
        from orchestrator.adapters.pulumi import engine
        from orchestrator.adapters.pulumi.provisioner import PulumiProvisioner

        found = cache(lambda: engine.find_engine(self.environ))
        return PulumiProvisioner(
            self.jobs, self.state / "pulumi", self.root, found, self.environ, self.artifacts, self.secrets, self.views
        )

    def deployer(self, own: str) -> Deployer:
        """Ansible, with connections that belong to *own*."""
        return self._ansible(own)

    def _ansible(self, own: str) -> "AnsibleDeployer":
        from orchestrator.adapters.ansible.deployer import AnsibleDeployer
        from orchestrator.adapters.ansible.shared_files import SharedFiles

        shared = None if isinstance(self.artifacts, NullArtifacts) else SharedFiles(self.artifacts, self.keys)
        places = (self.state, self.collections, self.environ, self.root)
        return AnsibleDeployer(self.jobs, *places, own, shared, self.secrets, self.views)

    def verifier(self) -> Verifier:
        """Testinfra."""
        from orchestrator.adapters.testinfra.verifier import TestinfraVerifier

        persistent = self.environ.get("ORCHESTRATOR_PERSISTENT", "1") != "0"
        ansible = self._ansible("suites")
        return TestinfraVerifier(self.jobs, self.environ, ansible.resolver, persistent=persistent, known=ansible.known)
