"""How long a test waits for what must happen: longer than any machine that runs the tests may stall."""

WITHIN_S = 180.0
