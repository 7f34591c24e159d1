"""Planning: memory, disk, nodes and latency for a corpus and a rate of questions."""

from firstfault.plan.model import Cluster, Embedded, Load, Node, Plan, plan
from firstfault.plan.simulate import Simulated, simulate

__all__ = ["Cluster", "Embedded", "Load", "Node", "Plan", "Simulated", "plan", "simulate"]
