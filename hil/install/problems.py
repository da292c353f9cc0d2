"""What keeps an installation from being made."""

from collections.abc import Iterable


class InstallError(Exception):
    """It cannot be made; the message has a line for each problem, with what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__("\n".join(problems))
