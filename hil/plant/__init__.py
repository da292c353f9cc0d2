"""Simulated physics: cars, charge points, house load."""
