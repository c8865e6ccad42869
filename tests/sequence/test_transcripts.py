import pytest

from simcsp.sequence.transcripts import Intron, Transcript, introns_of, is_data, whole_number


def test_the_span_of_a_transcript_is_its_pre_mrna() -> None:
    assert Transcript("t", "g", "c", "+", ((10, 20), (45, 55))).span == (10, 55)
    assert Transcript("an intron alone", "g", "c", "+", ((20, 20), (45, 45))).span == (20, 45)


def test_an_intron_shared_by_transcripts_counts_once_with_the_gene_of_the_first() -> None:
    transcripts = [
        Transcript("a", "first", "c", "+", ((0, 10), (50, 60), (100, 110))),
        Transcript("b", "second", "c", "+", ((5, 10), (50, 60))),
        Transcript("c", "third", "c", "-", ((5, 10), (50, 60))),
        Transcript("d", "fourth", "d", "+", ((5, 10), (50, 60))),
    ]
    introns, tally = introns_of(transcripts, "here")
    assert introns == [
        Intron("c", 10, 50, "+", "first"),
        Intron("c", 60, 100, "+", "first"),
        Intron("c", 10, 50, "-", "third"),
        Intron("d", 10, 50, "+", "fourth"),
    ]
    assert (tally.read, tally.dropped) == (5, {"the same intron in another transcript, counted once": 1})


@pytest.mark.parametrize(("gap", "is_intron"), [(0, False), (1, False), (19, False), (20, True)])
def test_a_gap_of_less_than_twenty_is_no_intron(gap: int, is_intron: bool) -> None:
    introns, tally = introns_of([Transcript("a", "g", "c", "+", ((0, 10), (10 + gap, 40 + gap)))], "here")
    assert [(intron.start, intron.end) for intron in introns] == ([(10, 10 + gap)] if is_intron else [])
    assert tally.dropped == ({} if is_intron else {"shorter than 20 nt": 1})


def test_a_number_is_digits_and_nothing_else() -> None:
    assert [whole_number(text, "start") for text in ("0", "7", "007", "9" * 18)] == [0, 7, 7, 10**18 - 1]
    # Python's int takes seven of these.
    for text in ("", " 5", "5 ", "+5", "-5", "1_000", "1e5", "1.0", "٣", "²", "9" * 19):
        with pytest.raises(ValueError, match=r"^start must be a whole number, found '"):
            whole_number(text, "start")


def test_lines_for_a_browser_and_comments_are_no_data() -> None:
    for line in ("", " \t", "#", "# c 1 2", "track name=x", "browser position chr1:1-2"):
        assert not is_data(line)
    for line in ("c\t1\t2", "track_1\t1\t2", "browser\t1\t2"):
        assert is_data(line)
