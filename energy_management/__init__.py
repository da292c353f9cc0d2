"""Decisions: how a site shares its power among EVSEs. Pure: no I/O, no threads, no clock of its own."""
