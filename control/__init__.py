"""The live half: control loop, dispatch of limits, state store, telemetry."""
