"""Studies: one scenario with many settings and on many days, as fast as all cores go.

`load_study` reads one with all its cases, `run_cases` runs them, `Results` keeps what came of it.
"""

from hil.study.cases import Case
from hil.study.engine import EngineError, run_cases
from hil.study.results import Results
from hil.study.study import Study, load_study

__all__ = ["Case", "EngineError", "Results", "Study", "load_study", "run_cases"]
