"""What is wrong with a run, told so that one can mend it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bsp.yaml_document import Step, YamlDocument


class ConfigError(Exception):
    """The files of a run do not fit together.

    Attributes
    ----------
    problems : tuple of str
        One line each: ``file:line key: what is wrong, and what to do``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class RunError(RuntimeError):
    """A run could not start, or ended by itself; the message says why."""


@dataclass
class Report:
    """Collects what is wrong with a configuration, so that all of it can be told at once.

    Attributes
    ----------
    file
        The configuration.
    log
        Gets a line for each thing that is odd but no error.
    problems
        A line for each error.
    """

    file: YamlDocument
    log: Callable[[str], None]
    problems: list[str] = field(default_factory=list)

    def error(self, *place: Step, what: str) -> None:
        """Note an error at a place in the configuration."""
        self.problems.append(f"{self.file.where(*place)}: {what}")

    def ignored(self, *place: Step, why: str) -> None:
        """Tell of something that has no effect."""
        self.log(f"{self.file.where(*place)}: ignored, {why}")

    def stop_at_errors(self) -> None:
        """End here if anything was wrong so far.

        Raises
        ------
        ConfigError
            Something was.
        """
        if self.problems:
            raise ConfigError(self.problems)
