"""Runs cases on all cores of this machine, or on a Dask cluster: the same engine for both."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from distributed import Client, LocalCluster, as_completed

from hil.study.cases import Case, Row, run_case

CONNECT_S = 20
_ANY_PORT = "127.0.0.1:0"
"""Dask's page about itself: another study may run here as well."""


class EngineError(Exception):
    """The cluster cannot be used; the message says why."""


def run_cases(cases: Sequence[Case], *, scheduler: str | None, workers: int) -> Iterator[Row]:
    """Run cases, in no order.

    Parameters
    ----------
    cases : sequence of Case
        What to run.
    scheduler : str or None
        Address of a Dask scheduler, like ``tcp://10.0.0.5:8786``, whose workers have this project installed;
        None starts processes here.
    workers : int
        How many processes to start here.

    Yields
    ------
    dict
        Row of the result, as soon as it is there.

    Raises
    ------
    EngineError
        The scheduler does not answer, its workers do not have this project, or a case cannot be run.
    """
    with _client(scheduler, workers) as client:
        by_key = {f"case-{case.key}": case for case in cases}
        futures = client.map(run_case, cases, key=list(by_key), retries=2)
        for future, row in as_completed(futures, with_results=True, raise_errors=False):
            if future.status != "finished":
                raise EngineError(f"{_words(by_key[future.key])}: {future.exception()}")
            yield row


def _words(case: Case) -> str:
    return ", ".join([*(f"{name} {value}" for name, value in case.settings.items()), f"day {case.day}"])


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Client]:
    if scheduler is None:
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=_ANY_PORT, silence_logs=50
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise EngineError(f"scheduler {scheduler}: no connection: {error}") from error
    with client:
        _check_workers(client, scheduler)
        yield client


def _check_workers(client: Client, scheduler: str) -> None:
    """Find out whether the workers can do this at all, before a thousand cases fail."""
    found = client.run(_has_project)
    if not found:
        raise EngineError(f"scheduler {scheduler}: it has no workers yet")
    lacking = sorted(worker for worker, has in found.items() if not has)
    if lacking:
        raise EngineError(
            f"scheduler {scheduler}: {', '.join(lacking)} cannot import hil: install this project there"
        )


def _has_project() -> bool:
    import importlib.util  # noqa: PLC0415 (runs on the worker)

    return importlib.util.find_spec("hil.study") is not None
