"""Log lines of a module."""

import re
from pathlib import Path

import pytest

from hil.runtime.framework import log

LEVELS = ["verbose", "debug", "info", "warning", "error", "critical"]
TAGS = ["VERB", "DEBG", "INFO", "WARN", "ERRO", "CRIT"]


def write_all() -> None:
    for level in LEVELS:
        getattr(log, level)(f"a line of level {level}")


def test_a_line_tells_time_level_module_and_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.cfg").write_text("")
    log.configure(tmp_path / "log.cfg", "probe_1")
    log.warning("fuse is hot")
    [line] = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d \[WARN\] probe_1 :: fuse is hot", line
    )
    log.update_process_name("probe_2")
    log.warning("fuse is hot")
    assert " probe_2 :: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "lowest"),
    [
        ('[Core]\nFilter="%Severity% >= DEBG"\n', "DEBG"),
        ('[Core]\nDisableLogging=false\nFilter = "%Severity% >= ERRO"\n', "ERRO"),
        ('# Filter="%Severity% >= VERB"\n', "INFO"),
        ('Filter="(%Process% contains probe and %Severity% >= VERB)"\n', "VERB"),
        ('Filter="%Severity% >= LOUD"\n', "INFO"),
        ("", "INFO"),
    ],
)
def test_the_logging_file_sets_the_lowest_level(
    config: str, lowest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.cfg").write_text(config)
    log.configure(tmp_path / "log.cfg", "probe_1")
    write_all()
    assert re.findall(r"\[(\w+)\]", capsys.readouterr().err) == TAGS[TAGS.index(lowest) :]
