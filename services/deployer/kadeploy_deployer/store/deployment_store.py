"""The store as a whole: its roles, each in a file of its own, on one database."""

from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.store.declaration_store import SqlDeclarationStore
from kadeploy_deployer.store.history_store import SqlHistoryStore
from kadeploy_deployer.store.journal_store import SqlJournalStore
from kadeploy_deployer.store.lease_store import SqlLeaseStore
from kadeploy_deployer.store.queue_store import SqlAdmissionQueue
from kadeploy_deployer.store.reading_store import SqlReadingStore


class SqlDeploymentStore(
    SqlAdmissionQueue,
    SqlJournalStore,
    SqlLeaseStore,
    SqlHistoryStore,
    SqlReadingStore,
    SqlDeclarationStore,
    DeploymentStore,
):
    """Implements `ports.deployment_store.DeploymentStore`."""
