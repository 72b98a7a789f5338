"""The simulated fleet-card host: ``HostBook`` (the truth, in process) and ``HostServer`` (the same over HTTPS)."""

from hal_sim.host.book import HostBook
from hal_sim.host.faults import Faults
from hal_sim.host.server import HostServer
from hal_sim.host.world import ScenarioError

__all__ = ["Faults", "HostBook", "HostServer", "ScenarioError"]
