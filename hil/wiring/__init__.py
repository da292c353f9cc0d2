"""The check an installer wants: whether the meter tells the truth, and the charger is wired as it is said.

`check` is pure, samples in and findings out. `procedure` takes the samples, `live` from real devices.
"""
