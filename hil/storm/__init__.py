"""A site of simulated devices through storms of faults: no limit above a fuse, and everybody comes back."""
