"""A run on a machine: what the process that talks to the service has to know of it, and no secret."""

from dataclasses import dataclass
from pathlib import Path

from qgan.circuits.ansatz import Ansatz
from qgan.ionq.client import IONQ, Ionq
from qgan.ionq.jobs import Patience
from qgan.ionq.prices import Rates

ON_THIS_MACHINE = Patience(first_poll_s=0.02, longest_poll_s=1.0, settle_s=1.0, give_up_s=600.0)  # a stand-in server


@dataclass(frozen=True)
class Run:
    """One trial's circuits on one machine. Its journal is the folder `journal` in `folder`."""

    folder: Path  # results/<study>/qpu/<run>
    leases: Path  # folder where clusters that share the results agree who uses a machine
    machine: str
    url: str | None  # of the service; None: a rehearsal server of the run's own
    ansatz: Ansatz
    shots: int
    rates: Rates
    max_usd: float  # cap of all that is ordered
    debiasing: bool = False
    degraded: bool = False  # a machine in a bad state is accepted
    retry_failed: bool = False  # what the service let fail is ordered again

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def name(self) -> str:
        """How a person knows the run."""
        return f"{self.folder.parent.parent.name}/{self.folder.name}"

    def service(self, url: str) -> Ionq:
        return Ionq(self.machine, url)


def patience(service: Ionq) -> Patience:
    """A person's patience with a service far away, or with one on this machine."""
    return ON_THIS_MACHINE if service.loopback else Patience()


def service_url(url: str | None, rehearsed: bool) -> str | None:
    """The address that a run talks to; None: its own rehearsal server."""
    return url or (None if rehearsed else IONQ)
