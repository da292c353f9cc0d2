"""Devices in the field, one at a time: where one is, what it says, and what can be done when it does not."""
