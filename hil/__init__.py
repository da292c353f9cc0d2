"""The bench: EVerest runtime, simulated site, scenarios and the command line."""
