"""Recorded MQTT traffic of real EVerest runs: read it, give it to this module again, compare the limits."""
