import errno
import io
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import datasets
import pytest
import safetensors
import transformers
from tqdm import tqdm

from simcsp.console import progress, quiet_libraries, run_script, say, skip
from simcsp.errors import InputError


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of signals and of errors in threads are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    in_threads = threading.excepthook
    yield
    threading.excepthook = in_threads
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def ended(main: Callable[[], None]) -> object:
    with pytest.raises(SystemExit) as caught:
        run_script(main)
    return caught.value.code


def test_success_is_status_0_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_input_error_is_status_1_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(InputError("it is wrong", path="a.txt", line=3, hint="Mend it"))) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.strip("\n").splitlines() == ["error: a.txt, line 3: it is wrong. Mend it."]


@pytest.mark.parametrize("ends", ["", "; sys.exit(0)"])
@pytest.mark.parametrize("lines", [1, 100_000])
def test_output_that_nobody_reads_ends_without_a_word(lines: int, ends: str) -> None:
    program = f"import sys; from simcsp.console import run_script\ndef main(): print('x\\n' * {lines}){ends}\n"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", f"{program}run_script(main)"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_another_broken_pipe_is_an_error() -> None:
    with pytest.raises(BrokenPipeError):
        run_script(raising(BrokenPipeError(errno.EPIPE, "a worker is gone")))


def test_interrupt_is_status_130_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raising(KeyboardInterrupt())) == 130
    shown = capsys.readouterr().err.strip("\n")
    assert shown == "Interrupted. Run the same command again to go on from what is finished."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_an_interrupt(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: os.kill(os.getpid(), number)) == 130
    assert capsys.readouterr().err.startswith("\nInterrupted. ")


FULL, QUOTA, LARGE = (os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, FULL), FULL),
        (OSError(errno.EDQUOT, QUOTA, "a.txt"), QUOTA),
        (OSError(errno.EFBIG, LARGE), LARGE),
        (OSError(f"[Errno 28] Error writing bytes to file. Detail: [errno 28] {FULL}"), FULL),
        (safetensors.SafetensorError(f"Error while serializing: I/O error: {FULL} (os error 28)"), FULL),
        (RuntimeError(f"could not write: {QUOTA}"), QUOTA),
    ],
    ids=["full", "quota", "size", "arrow", "safetensors", "runtime"],
)
def test_no_room_to_write_is_status_1_and_one_line(
    error: Exception, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(error)) == 1
    shown = capsys.readouterr().err.strip("\n")
    assert shown == f"error: Nothing more can be written ({reason}). Free some space and run the same command again."


@pytest.mark.parametrize(("error", "shown"), [(OSError(errno.ENOSPC, FULL), False), (KeyError("a bug"), True)])
def test_thread_without_room_leaves_it_to_the_main_thread(
    error: Exception, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        thread = threading.Thread(target=raising(error))
        thread.start()
        thread.join()

    assert ended(main) == 0
    assert ("Traceback" in capsys.readouterr().err) is shown


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a bug"),
        RuntimeError("a bug"),
        ValueError("a bug"),
        PermissionError(errno.EACCES, "a bug"),
        safetensors.SafetensorError("a bug"),
        AssertionError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_stays_a_bug_with_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error), match="a bug") as caught:
        run_script(raising(error))
    assert caught.value is error
    assert capsys.readouterr().err == ""


def test_a_script_that_ends_itself_keeps_its_status() -> None:
    assert ended(raising(SystemExit(0))) == 0
    assert ended(raising(SystemExit(7))) == 7


def test_news_are_one_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    say("prepare: done")
    assert capsys.readouterr() == ("prepare: done\n", "")


def test_progress_gives_every_item_and_writes_to_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([1, 2, 3], "evaluate", unit="fold")) == [1, 2, 3]
    assert capsys.readouterr().out == ""


def test_progress_begins_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress(None, "finetune", unit="step", start=3, total=10) as bar:
        bar.update(2)
        assert (bar.n, bar.total) == (5, 10)
        assert "finetune" in str(bar)
        assert "5/10" in str(bar)


def test_a_log_file_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(None, "pretrain", unit="step", total=2) as bar:
        bar.mininterval = 0
        bar.update()
        with progress(None, "below", unit="window", total=9):
            pass
        bar.update()
    lines = stream.getvalue().splitlines(keepends=True)
    assert [line.split(":")[0] for line in lines] == ["pretrain", "pretrain", "below", "pretrain"]
    assert all(line.endswith("]\n") and "\r" not in line and "\x1b" not in line for line in lines)


def test_what_is_skipped_is_counted_but_taken_for_no_speed() -> None:
    clock = [0.0]
    with tqdm(total=100, file=io.StringIO(), mininterval=0, smoothing=0.05) as bar:
        bar._time = lambda: clock[0]
        bar.start_t = bar.last_print_t = 0.0
        for second in range(20):
            if second in {0, 10}:
                skip(bar, 30)
            clock[0] += 2
            bar.update()
        assert bar.n == 80
        assert bar.format_dict["rate"] == pytest.approx(0.5)
        assert "[00:40<00:40" in str(bar)  # 20 steps are left at 2 seconds each


def test_skipping_is_counted_also_where_no_bar_is_shown() -> None:
    with tqdm(total=9, disable=True) as bar:
        skip(bar, 4)
        assert bar.n == 4


@pytest.mark.parametrize(("terminal", "seconds"), [(True, 0.2), (False, 30)])
def test_a_log_file_is_not_filled_with_bars(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, seconds: float) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(None, "x", unit="step", total=10) as bar:
        assert bar.mininterval == seconds


def test_libraries_that_are_loaded_are_quiet() -> None:
    transformers.logging.set_verbosity(logging.INFO)
    transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.enable_progress_bars()
    quiet_libraries()
    assert transformers.logging.get_verbosity() == logging.ERROR
    assert not transformers.logging.is_progress_bar_enabled()
    assert datasets.are_progress_bars_disabled()
