"""Simulated Modbus devices on real sockets and pseudo-terminals."""
