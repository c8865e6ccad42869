"""What a script says: one line per stage, progress with time left, one sentence per error."""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import NoReturn, TextIO, TypeVar

from safetensors import SafetensorError
from tqdm import tqdm

from simcsp.errors import NO_ROOM, InputError

Item = TypeVar("Item")

INTERRUPTED = 130  # 128 + SIGINT, what shells expect
UNREAD = 141  # 128 + SIGPIPE, what shells expect of a program whose output is cut off by `| head`
_UP = "\x1b[A"  # how a bar below another one goes back
PEER_LOST = 75  # of a process that ends without a word because another one has; EX_TEMPFAIL of sysexits.h
# Of several processes one tells the news, and one per host what goes wrong.
_NEWS, _ERRORS = (os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))


def run_script(main: Callable[[], None]) -> NoReturn:
    """Call ``main`` and end the process: status 0, 1 for what the user can mend, 130 after SIGINT or SIGTERM.

    Status 141, without a word, if nobody reads what it prints any longer.
    """
    quiet_libraries()
    threading.excepthook = _thread_failed
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # schedulers and pretrain.sh stop a stage by it
    try:
        _call(main)
    except InputError as error:
        _fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        _fail("Interrupted. Run the same command again to go on from what is finished.", INTERRUPTED)
    except (OSError, RuntimeError, SafetensorError) as error:
        if isinstance(error, BrokenPipeError) and _is_unread(sys.stdout):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left to print
            sys.exit(UNREAD)
        if _peer_is_lost(error):
            _end_without_peer()
        if (reason := _no_room(error)) is None:
            raise
        _fail(f"error: Nothing more can be written ({reason}). Free some space and run the same command again.", 1)
    sys.exit(0)


def _call(main: Callable[[], None]) -> None:
    """Call it; what it has printed is out before it ends, also where it ends the process, after a help."""
    try:
        main()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe that nobody reads any longer: then it is this one that broke, not one to a worker."""
    pipe = select.poll()
    pipe.register(stream, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in pipe.poll(0))


def say(message: str) -> None:
    """Print news, also while a progress bar is shown."""
    if not _NEWS:
        return
    tqdm.write(message, file=sys.stdout)
    sys.stdout.flush()


def progress(
    items: Iterable[Item] | None,
    what: str,
    *,
    unit: str,
    start: int = 0,
    total: int | None = None,
    scale: bool = False,
) -> "tqdm[Item]":
    """A bar with rate and time left; without a terminal, a line every 30 seconds.

    With ``scale``, large counts are shown as k, M and G.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        items, desc=what, unit=unit, initial=start, total=total, unit_scale=scale,
        file=sys.stderr if terminal else _Lines(),
        dynamic_ncols=terminal, mininterval=0.2 if terminal else 30, leave=False, smoothing=0.05, disable=not _NEWS,
    )  # fmt: skip


class _Lines:
    """Standard error for a log file: what a bar would draw over itself is one line after the other."""

    def write(self, drawn: str) -> None:
        if line := drawn.replace(_UP, "").strip():
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def skip(bar: "tqdm[Item]", items: int) -> None:
    """Count what was done earlier or need not be done, without taking it for speed: the time left stays right."""
    bar.n += items
    if not bar.disable:
        bar.initial += items
        bar.last_print_n += items


def quiet_libraries() -> None:
    """Silence the chatter of the libraries that are loaded; their errors still come through."""
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
    if "transformers" in sys.modules:
        sys.modules["transformers"].logging.set_verbosity_error()
        sys.modules["transformers"].logging.disable_progress_bar()


def _peer_is_lost(error: Exception) -> bool:
    """Whether another process of the same training has ended: gloo and NCCL have no error of their own for it."""
    return "RANK" in os.environ and (type(error).__name__.startswith("Dist") or "gloo/transport" in str(error))


def _end_without_peer() -> NoReturn:
    """Whoever started the processes says which of them ended, and how; here the threads of gloo may hang or abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(PEER_LOST)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Leave a lack of room to the main thread: TensorBoard's writer hands it on, and one sentence is enough."""
    if failure.exc_value is None or _no_room(failure.exc_value) is None:
        threading.__excepthook__(failure)


def _no_room(error: BaseException) -> str | None:
    """What the system said if there was no room to write; libraries written in C++ and Rust pass it on as text."""
    number = getattr(error, "errno", None)
    return next((os.strerror(n) for n in NO_ROOM if n == number or os.strerror(n) in str(error)), None)


def _fail(message: str, status: int) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the process ends anyway; only the sentence would be lost
    if _ERRORS:
        sys.stderr.write(f"\n{message}\n")
    sys.exit(status)
