"""What can be asserted of a run, sentence by sentence, in the words of those who use the site.

Each module adds its sentences to the language when it is imported.
"""

from hil.scenario.claims import conduct, currents, history
from hil.scenario.claims.look import ASSERTIONS, METER_A, Look

__all__ = ["ASSERTIONS", "METER_A", "Look", "conduct", "currents", "history"]
