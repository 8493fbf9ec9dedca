"""Progress on a terminal, plain lines elsewhere."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_PLAIN_WIDTH = 180


class Display:
    """One line of progress for the step at hand. Without a terminal each step is said once, and its end.

    Shown while the `with` lasts; `console` is for everything else.
    """

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=_PLAIN_WIDTH)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, count="")
        self._said = ""

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, sentence: str, done: int = 0, total: int | None = None) -> None:
        """Say what is being done, and how much of it is done."""
        if sentence != self._said:
            self._said = sentence
            self._progress.reset(self._task)
            if not self.console.is_terminal:
                self.console.print(f"{sentence} ...", markup=False)
        count = f"{done} of {total}" if total else str(done or "")
        self._progress.update(self._task, description=sentence, completed=done, total=total, count=count)
