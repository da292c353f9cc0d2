"""A pure-Python EVerest runtime: module side, manager side and broker."""
