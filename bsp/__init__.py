"""Hardware: Modbus and serial buses, device profiles, meters, connectors and contactors."""
