"""Progress of a run. On a terminal it is one changing line, elsewhere lines now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.live import Live
from rich.markup import escape
from rich.text import Text

from waterflow.cli.console import out, print_step

COLOURS = {"failed": "red", "warning": "yellow", "cached": "green"}
FIRST_SECONDS, LONGEST_SECONDS = 10.0, 60.0


class Progress:
    """The running step, its start, and its trials."""

    def __init__(self) -> None:
        self._step, self._text, self._trials, self._started = "", "", "", time.monotonic()
        self._live: Live | None = None
        self._is_paused = False

    def report(self, step: str, text: str) -> None:
        """Print that a step begins, or how it ended."""
        self._step, self._text, self._trials, self._started = step, text, "", time.monotonic()
        print_step(step, text, COLOURS.get(step, "cyan"))

    def report_trial(self, done: int, planned: int, metric: str, best: float | None) -> None:
        """Take note of a finished trial. `best` is the best value so far, None before there is one."""
        score = "" if best is None else f", best {metric} {best:.4f}"
        self._trials = f", trial {done} of {planned}{score}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the progress of what runs inside."""
        if out.is_terminal:
            with Live(get_renderable=self._line, console=out, refresh_per_second=4, transient=True) as self._live:
                yield
            return
        over = Event()
        thread = Thread(target=self._print_now_and_then, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Show nothing meanwhile, for a question to be answered."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False
            if live is not None:
                live.start()
                self._live = live

    def describe(self) -> str:
        """Return what runs, for how long, and the best trial."""
        return f"{self._text}, {time.monotonic() - self._started:.0f} s{self._trials}"

    def _line(self) -> Text:
        return Text.from_markup(
            f"[cyan]{self._step:>9}[/cyan]  [dim]{escape(self.describe())}[/dim]" if self._step else ""
        )

    def _print_now_and_then(self, over: Event) -> None:
        """Print a line at growing intervals. They last 10 to 60 seconds."""
        since, pause = self._started, FIRST_SECONDS
        while not over.wait(min(1.0, pause)):
            if since != self._started:
                since, pause = self._started, FIRST_SECONDS
            elif time.monotonic() - since >= pause and not self._is_paused:
                print_step(self._step, self.describe(), "dim")
                pause = min(2 * pause, time.monotonic() - since + LONGEST_SECONDS)
