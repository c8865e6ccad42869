"""Scores of windows that a FASTA or text file holds, each with a site in its middle."""

from itertools import islice
from pathlib import Path

import numpy as np

from simcsp.console import progress
from simcsp.datasets.readers.text import TextRecord, read_records
from simcsp.prediction.growing import GrowingFiles
from simcsp.prediction.refused import HEAD, REFUSED, Refusal, finish_records, refused_rows, write_records
from simcsp.prediction.scorer import Scorer
from simcsp.sequence.alphabet import Tokens, decode
from simcsp.sequence.fasta import nucleotides
from simcsp.sequence.sites import central_dinucleotides, unread_share
from simcsp.tally import Tally

WINDOWS = "windows.csv"
_AT_ONCE = 1024


def score_windows(path: Path, scorer: Scorer, threshold: float, folder: Path) -> None:
    """Write the probability of every window, in the order of the file, to a claimed folder, or go on doing so.

    Longer windows are cut to their middle. ``windows.csv`` has line, name, dinucleotide, probability and whether the
    site is called; a window that cannot be scored is a row of ``refused.tsv``.

    Raises:
        InputError: if the file is empty, a header has no sequence, or a letter is no nucleotide code.
    """
    tally, written = Tally("records", path.name), Tally("records", "written")
    heads = {WINDOWS: "line,name,dinucleotide,probability,called\n", REFUSED: HEAD}
    output = GrowingFiles(folder, heads, (tally, written))
    records = read_records(path)
    done = len(list(islice(records, output.done * _AT_ONCE)))
    with progress(None, "predict", unit="window", start=done) as bar:
        parts = iter(lambda: list(islice(records, _AT_ONCE)), [])
        write_records(output, parts, lambda part: _texts(part, path, scorer, threshold, tally), WINDOWS, bar)
    finish_records(output, {"threshold": threshold})


def _texts(part: list[TextRecord], path: Path, scorer: Scorer, threshold: float, tally: Tally) -> dict[str, str]:
    cut = [_middle(record, path, scorer, tally) for record in part]
    refused = [
        Refusal(record.line, _name(record), reason)
        for record, reason in zip(part, cut, strict=True)
        if isinstance(reason, str)
    ]
    good = [(record, window) for record, window in zip(part, cut, strict=True) if not isinstance(window, str)]
    texts = {WINDOWS: "", REFUSED: refused_rows(refused, tally)}
    if good:
        windows = np.stack([window for _, window in good])
        letters = decode(central_dinucleotides(windows))
        for row, ((record, _), probability) in enumerate(zip(good, scorer(windows).tolist(), strict=True)):
            texts[WINDOWS] += (
                f"{record.line},{_quoted(_name(record))},{letters[2 * row : 2 * row + 2]},{probability:.6g},"
                f"{int(probability >= threshold)}\n"
            )
    return texts


def _middle(record: TextRecord, path: Path, scorer: Scorer, tally: Tally) -> Tokens | str:
    """The middle of a record, or the reason why it cannot be scored."""
    tokens = nucleotides(record.letters, tally, path=path, line=record.line)
    margin = len(tokens) - scorer.window
    if margin < 0:
        return f"shorter than a window of {scorer.window} nt"
    if margin % 2:
        return "odd length: no dinucleotide is in the middle"
    window = tokens[margin // 2 : margin // 2 + scorer.window]
    if unread_share(window[None])[0] > scorer.max_unread:
        return f"more than {scorer.max_unread:.0%} N in the window"
    return window


def _name(record: TextRecord) -> str:
    return record.header or f"line {record.line}"


def _quoted(text: str) -> str:
    """A CSV field (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
