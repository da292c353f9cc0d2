"""The main job, to be watched: a simulated site, real MQTT, real Modbus, and this module in the middle."""
