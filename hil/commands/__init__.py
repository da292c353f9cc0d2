"""The commands of the bench, a module each."""
