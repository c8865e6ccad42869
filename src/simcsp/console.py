"""What a script says: one line per stage, progress with time left, one sentence per error."""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

from safetensors import SafetensorError
from tqdm import tqdm

from simcsp.errors import InputError

Item = TypeVar("Item")

INTERRUPTED = 130  # 128 + SIGINT, what shells expect
_MUTE = os.environ.get("RANK", "0") != "0"  # of several processes one speaks for all


def run_script(main: Callable[[], None]) -> NoReturn:
    """Call ``main`` and end the process: status 0, 1 for what the user can mend, 130 after Ctrl-C."""
    quiet_libraries()
    try:
        main()
    except InputError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("Interrupted. Run the same command again to go on from the last checkpoint.", INTERRUPTED)
    except (OSError, RuntimeError, SafetensorError) as error:
        if _peer_is_lost(error):
            sys.exit(1)  # whoever started the processes says which of them ended, and how
        if getattr(error, "errno", None) != errno.ENOSPC and os.strerror(errno.ENOSPC) not in str(error):
            raise
        _fail("The disk is full. Free some space and run the same command again.", 1)
    sys.exit(0)


def say(message: str) -> None:
    """Print one line of news, also while a progress bar is shown."""
    if _MUTE:
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
    """A bar with rate and time left; a plain log (no terminal) gets one line every 30 seconds.

    With ``scale``, large counts are shown as k, M and G.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        items, desc=what, unit=unit, initial=start, total=total, unit_scale=scale, file=sys.stderr,
        dynamic_ncols=terminal, mininterval=0.2 if terminal else 30, leave=False, smoothing=0.05, disable=_MUTE,
    )  # fmt: skip


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


def _fail(message: str, status: int) -> NoReturn:
    if _MUTE:
        sys.exit(status)
    sys.stderr.write(f"\nerror: {message}\n" if status != INTERRUPTED else f"\n{message}\n")
    sys.exit(status)
