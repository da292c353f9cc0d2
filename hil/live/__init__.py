"""Scenarios in real time: the same scripts over real sockets and lines, on real devices where there are some.

`run_live` runs one; `hil.live.survey` finds out which devices of a site are there.
"""

from hil.live.run import Live, run_live
from hil.live.stop import BY_PERSON, Stop, listening

__all__ = ["BY_PERSON", "Live", "Stop", "listening", "run_live"]
