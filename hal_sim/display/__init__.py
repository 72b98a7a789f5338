"""The customer's display: four lines of twenty characters on a serial line."""

from hal_sim.display.lk204 import Lk204

__all__ = ["Lk204"]
