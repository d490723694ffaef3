"""The examples for Slurm, run by a real Slurm on jobs of its own: what a site that follows the page gets."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration.cli_inventory.batch import EXAMPLES, Scheduler, allowed
from tests.integration.cli_inventory.conftest import Site
from tests.slurm import Slurm, running_slurm, write_script

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

PROLOG, EPILOG = EXAMPLES / "slurm-prolog", EXAMPLES / "slurm-epilog"
BOTH = ["node-1", "node-2"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with running_slurm() as slurm:
        yield slurm


class Jobs:
    """Jobs that note their rights first of all, and end when they are let go."""

    def __init__(self, slurm: Slurm, scheduler: Scheduler, directory: Path) -> None:
        self.slurm = slurm
        self._scheduler = scheduler
        self._directory = directory

    def submit(self, name: str, *options: str) -> str:
        """Submits a job on both nodes and returns its number."""
        variables = "".join(f"export {key}='{value}'\n" for key, value in self._scheduler.variables.items())
        place = self._directory / name
        draft = f"{place}.draft"
        listing = f"karights --list -u {self.slurm.user} --output json"
        # A job that nobody lets go ends by itself.
        waiting = f"n=0; until [ -e {place}.go ] || [ $n -gt 1200 ]; do sleep 0.1; n=$((n + 1)); done"
        script = f"{variables}{listing} >{draft}\nmv {draft} {place}.rights\n{waiting}\n"
        return self.slurm.submit(script, "--nodes=2", *options)

    def rights(self, name: str) -> list[dict[str, str]]:
        """Returns the rights that the user had when the job began."""
        file = self._directory / f"{name}.rights"
        self.slurm.wait_for(f"the beginning of the job {name}", file.exists)
        found: list[dict[str, str]] = json.loads(file.read_text())
        return found

    def began(self, name: str) -> bool:
        return (self._directory / f"{name}.rights").exists()

    def let_go(self, name: str) -> None:
        (self._directory / f"{name}.go").touch()

    def wait_for(self, line: str) -> None:
        """Waits until a script has ended: "epilog JOB STATUS"."""
        self.slurm.wait_for(line, lambda: line in self.slurm.trace)

    def use(self, epilog: Path) -> None:
        variables = {**self._scheduler.variables, "SLURM_CONF": str(self.slurm.configuration)}
        self.slurm.use_scripts({"prolog": PROLOG, "epilog": epilog}, variables)


@pytest.fixture
def jobs(cluster: Slurm, scheduler: Scheduler, tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(cluster, scheduler, tmp_path)
    made.use(EPILOG)
    yield made
    cluster.end_jobs()


def cut_off(scheduler: Scheduler, site: Site) -> None:
    """The inventory answers no more, as far as the scheduler can see."""
    settings = scheduler.settings.read_text()
    assert site.address in settings
    scheduler.settings.write_text(settings.replace(site.address, f"{site.address}.absent"))


def test_a_job_has_the_right_from_its_first_line_to_its_end(site: Site, jobs: Jobs) -> None:
    user = jobs.slurm.user
    assert allowed(site.address, user) == []
    job = jobs.submit("a")
    rights = jobs.rights("a")
    assert [(right["node"], right["partition"]) for right in rights] == [("node-1", "sda3"), ("node-2", "sda3")]
    assert allowed(site.address, user) == BOTH
    (end,) = {right["expire_time"] for right in rights}
    # Ten minutes for the job, five for the case that its epilog never comes.
    assert 14 * 60 - 90 < datetime.fromisoformat(end).timestamp() - time.time() <= 15 * 60
    jobs.let_go("a")
    jobs.wait_for(f"epilog {job} 0")
    assert allowed(site.address, user) == []


def test_a_job_that_is_killed_loses_the_right_and_its_deployments(site: Site, jobs: Jobs, scheduler: Scheduler) -> None:
    job = jobs.submit("a")
    assert jobs.rights("a")
    scheduler.begin_deployment(jobs.slurm.user)
    assert jobs.slurm.run("scancel", job).returncode == 0
    jobs.wait_for(f"epilog {job} 0")
    assert allowed(site.address, jobs.slurm.user) == []
    listing, cancelling = scheduler.deployer.requests
    assert (listing.filter.owner, listing.filter.nodes) == (jobs.slurm.user, "node-[1-2]")
    assert (cancelling.id, cancelling.reason) == ("D-1", f"job {job} has ended")
    assert scheduler.rebooted_into() == [("node-[1-2]", "sda", 2)]
    jobs.slurm.wait_for("both nodes being free again", lambda: states(jobs) == {"node-1": "idle", "node-2": "idle"})


def test_a_node_that_does_not_come_back_is_given_to_nobody(jobs: Jobs, scheduler: Scheduler) -> None:
    scheduler.deployer.control.busy = {"node-2"}
    jobs.let_go("a")
    job = jobs.submit("a")
    jobs.wait_for(f"epilog {job} 1")
    jobs.slurm.wait_for("node-1 being free again", lambda: states(jobs)["node-1"] == "idle")
    assert states(jobs)["node-2"] == "drained"
    reason = jobs.slurm.run("sinfo", "--noheader", "--Node", "--nodes=node-2", "--format=%100E").stdout
    assert reason.strip() == "kadeploy: on the way back to the site's system"
    assert jobs.slurm.run("scontrol", "update", "NodeName=node-2", "State=RESUME").returncode == 0


def states(jobs: Jobs) -> dict[str, str]:
    """Returns the state of each node as Slurm says it."""
    rows = jobs.slurm.run("sinfo", "--noheader", "--Node", "--format=%N %T").stdout.splitlines()
    return dict(row.split() for row in rows)


def test_the_next_job_of_the_user_on_the_nodes_keeps_its_own_right(site: Site, jobs: Jobs, tmp_path: Path) -> None:
    # Slow enough that the second job would be there first, did Slurm not wait.
    slow = tmp_path / "slow-epilog"
    write_script(slow, f"sleep 4\nexec {EPILOG}")
    jobs.use(slow)
    jobs.let_go("first")
    first, second = jobs.submit("first"), jobs.submit("second")
    assert len(jobs.rights("second")) == 2
    # Not before the first one's right was taken away.
    assert jobs.slurm.trace == [f"prolog {first} 0", f"epilog {first} 0", f"prolog {second} 0"]
    assert allowed(site.address, jobs.slurm.user) == BOTH


def test_without_the_inventory_no_job_begins(site: Site, jobs: Jobs, scheduler: Scheduler) -> None:
    cut_off(scheduler, site)
    batch = jobs.submit("a")
    # 3: a service does not answer.
    jobs.wait_for(f"prolog {batch} 3")
    # Interactive jobs are told at once; batch jobs wait for another try.
    interactive = jobs.slurm.run("salloc", "--nodes=2", "--time=5", "true")
    assert interactive.returncode != 0
    assert "PrologSlurmctld failed, job killed" in interactive.stderr
    state = jobs.slurm.run("squeue", "--noheader", "--jobs", batch, "--format=%T")
    assert state.stdout.strip() == "PENDING", jobs.slurm.scenario()
    assert not jobs.began("a")
    assert allowed(site.address, jobs.slurm.user) == []


def test_a_right_that_the_epilog_cannot_take_away_ends_by_itself(site: Site, jobs: Jobs, scheduler: Scheduler) -> None:
    job = jobs.submit("a")
    (end,) = {right["expire_time"] for right in jobs.rights("a")}
    cut_off(scheduler, site)
    jobs.let_go("a")
    jobs.wait_for(f"epilog {job} 1")
    assert allowed(site.address, jobs.slurm.user) == BOTH
    assert datetime.fromisoformat(end).timestamp() - time.time() <= 15 * 60
