"""The database as a whole: each role of it is a port of its own. `store/` implements them."""

from typing import Protocol

from kadeploy_deployer.ports.declaration_store import DeclarationStore
from kadeploy_deployer.ports.history_store import HistoryStore
from kadeploy_deployer.ports.journal_store import JournalStore
from kadeploy_deployer.ports.lease_store import LeaseStore
from kadeploy_deployer.ports.queue import AdmissionQueue
from kadeploy_deployer.ports.reading_store import ReadingStore


class DeploymentStore(AdmissionQueue, JournalStore, LeaseStore, HistoryStore, ReadingStore, DeclarationStore, Protocol):
    """Everything durable."""
