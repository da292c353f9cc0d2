"""Physics of a simulated site: cars, charge points, a house, and the grid connection that carries them.

Nothing here reads a clock or does I/O: whoever drives the plant calls ``advance(dt_s)``, on a virtual clock
or in real time.
"""

from hil.plant.car import Car, CarModel
from hil.plant.charge_point import ChargePoint
from hil.plant.house import Appliance, House
from hil.plant.site import FuseWatch, Overload, Rotation, Site

__all__ = [
    "Appliance",
    "Car",
    "CarModel",
    "ChargePoint",
    "FuseWatch",
    "House",
    "Overload",
    "Rotation",
    "Site",
]
