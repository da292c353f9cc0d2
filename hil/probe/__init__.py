"""Finding meters on a line or host: who answers, at which settings, and whose readings make sense.

Reads only: the bus that it asks through cannot write.
"""

from hil.probe.identify import Identity
from hil.probe.search import Found, Search, named_settings, search_host, search_line

__all__ = ["Found", "Identity", "Search", "named_settings", "search_host", "search_line"]
