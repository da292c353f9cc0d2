"""Worker threads: in order within a topic, in parallel across topics."""

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], None]

MAX_WORKERS = 32
_MANY_WAITING = 100


class TopicPool:
    """Runs jobs: those of one topic in order, one after the other, those of different topics in parallel.

    Threads are started on demand, and there are more of them than processors: a handler may wait in a command
    call for as long as five minutes and must not hold up the handlers of other topics meanwhile. They are
    daemons, since a module ends when its main thread does.

    Parameters
    ----------
    warn
        Is told once a topic has many jobs waiting.
    """

    def __init__(self, warn: Callable[[str], None], max_workers: int = MAX_WORKERS) -> None:
        self._warn = warn
        self._max_workers = max_workers
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Job]] = {}
        """Jobs behind the running one, of each topic that has a running one."""
        self._runnable: SimpleQueue[tuple[str, Job]] = SimpleQueue()
        self._workers = 0
        self._free = 0
        """Workers without a job, less the jobs that are on their way to them."""

    def submit(self, topic: str, job: Job) -> None:
        """Run ``job`` once the earlier jobs of its topic are done. A job must not raise."""
        with self._lock:
            waiting = self._waiting.get(topic)
            if waiting is not None:
                waiting.append(job)
                many = len(waiting) == _MANY_WAITING
            else:
                self._waiting[topic] = deque()
                self._make_runnable(topic, job)
                many = False
        if many:
            self._warn(f"{topic}: {_MANY_WAITING} messages are waiting, the handler is stuck or too slow")

    def _make_runnable(self, topic: str, job: Job) -> None:
        self._free -= 1
        if self._free < 0 and self._workers < self._max_workers:
            self._workers += 1
            self._free += 1
            threading.Thread(target=self._work, name=f"everest-{self._workers}", daemon=True).start()
        self._runnable.put((topic, job))

    def _work(self) -> None:
        while True:
            topic, job = self._runnable.get()
            job()
            with self._lock:
                self._free += 1
                waiting = self._waiting[topic]
                if waiting:
                    # Behind the jobs of other topics, so that a busy topic leaves room for them.
                    self._make_runnable(topic, waiting.popleft())
                else:
                    del self._waiting[topic]
