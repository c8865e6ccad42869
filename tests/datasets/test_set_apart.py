import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import SplitConfig
from simcsp.datasets.set_apart import set_apart
from simcsp.datasets.splits import assign_parts, fold_rows, pretraining_rows, selection_rows
from simcsp.datasets.windows import WindowTable, concatenate, window_table
from simcsp.errors import InputError
from simcsp.sequence.alphabet import A, N, Tokens, reverse_complement
from simcsp.tally import Tally

LENGTH, SHARED = 40, 20
SPLIT = SplitConfig(folds=2, shared=SHARED)


def sequence(count: int, seed: int) -> Tokens:
    return np.random.default_rng(seed).integers(A, A + 4, size=(count, LENGTH), dtype=np.uint8)


def table_of(tokens: Tokens, group: list[str], origin: list[str] | None = None, species: str = "human") -> WindowTable:
    rows = np.arange(len(tokens))
    return window_table(
        tokens,
        label=(rows % 2).astype(np.uint8),
        site_type=(rows // 2 % 2).astype(np.uint8),
        species=species,
        group=group,
        origin=origin or [f"file{species}:{row}" for row in rows],
    )


def origins(places: list[int], contig: str = "chr1") -> list[str]:
    return [f"{contig}:{place}-{place + 2}:+" for place in places]


def kept_rows(candidates: WindowTable, evaluated: WindowTable, split: SplitConfig = SPLIT) -> list[int]:
    tally = Tally("windows", "candidates")
    table = set_apart(candidates, evaluated, split, tally)
    assert (tally.read, tally.kept) == (len(candidates.label), len(table.label))
    row_of = {window.tobytes(): row for row, window in enumerate(candidates.tokens)}
    return [row_of[window.tobytes()] for window in table.tokens]


def test_windows_of_a_gene_of_the_folds_go() -> None:
    evaluated = table_of(sequence(4, 0), ["a", "a", "b", "b"])
    candidates = table_of(sequence(4, 1), ["b", "c", "a", "d"])
    assert kept_rows(candidates, evaluated) == [1, 3]


def test_windows_that_overlap_those_of_the_folds_go_with_all_that_are_grouped_with_them() -> None:
    evaluated = table_of(sequence(2, 0), ["a", "b"], origins([1000, 5000]))
    # The first overlaps a window of the folds and takes its gene with it, and the last, which overlaps that gene.
    candidates = table_of(sequence(5, 1), ["p", "p", "q", "q", "r"], origins([1039, 8000, 1080, 9000, 8010]))
    assert kept_rows(candidates, evaluated) == [2, 3]
    elsewhere = candidates._replace(species=np.full(5, "mouse"))
    assert kept_rows(elsewhere, evaluated) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("by", ["group", "cluster", "label", "species"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_shared_stretch_is_found_whatever_the_split_keeps_together(by: str, *, turned: bool) -> None:
    evaluated = table_of(sequence(2, 0), ["a", "b"])
    tokens = sequence(4, 1)
    stretch = evaluated.tokens[1, 7 : 7 + SHARED]
    tokens[2, 3 : 3 + SHARED] = reverse_complement(stretch) if turned else stretch
    tokens[3, 3 : 3 + SHARED - 1] = stretch[:-1]
    tokens[3, 2 + SHARED] = A + (stretch[-1] - A + 1) % 4
    tokens[3, 2] = A + (evaluated.tokens[1, 6] - A + 1) % 4
    candidates = table_of(tokens, ["p", "q", "r", "s"], species="mouse")
    assert kept_rows(candidates, evaluated, SplitConfig(folds=2, shared=SHARED, by=by)) == [0, 1, 3]  # type: ignore[arg-type]


def test_an_identical_window_goes_even_if_n_breaks_all_its_stretches() -> None:
    evaluated = table_of(sequence(2, 0), ["a", "b"])
    evaluated.tokens[0, [13, 26]] = N
    tokens = sequence(3, 1)
    tokens[0], tokens[1] = evaluated.tokens[0], reverse_complement(evaluated.tokens[0])
    assert kept_rows(table_of(tokens, ["p", "q", "r"]), evaluated) == [2]


def test_chromosomes_and_species_of_the_folds_are_left_to_them() -> None:
    evaluated = table_of(sequence(2, 0), ["a", "b"], origins([100, 5000]))
    candidates = concatenate(
        [
            table_of(sequence(1, 1), ["p"], origins([900_000])),
            table_of(sequence(1, 2), ["q"], origins([100], "chr2")),
            table_of(sequence(1, 3), ["r"], origins([100]), species="mouse"),
        ]
    )
    assert kept_rows(candidates, evaluated, SplitConfig(folds=2, shared=SHARED, by="chromosome")) == [1, 2]
    assert kept_rows(candidates, evaluated, SplitConfig(folds=2, shared=SHARED, by="species")) == [2]


def test_nothing_left_is_said_with_the_reason() -> None:
    evaluated = table_of(sequence(2, 0), ["a", "b"])
    with pytest.raises(InputError, match="candidates: nothing is left that shares no group or sequence with the folds"):
        set_apart(table_of(sequence(1, 1), ["a"]), evaluated, SPLIT, Tally("windows", "candidates"))


def test_a_gene_of_another_species_is_another_gene_if_asked_for() -> None:
    others = table_of(sequence(3, 0), ["a", "b", ""])
    tokens = sequence(4, 1)
    tokens[3, :SHARED] = others.tokens[0, :SHARED]
    mouse = table_of(tokens, ["a", "c", "", "d"], species="mouse")
    tally = Tally("windows", "mouse")
    kept = set_apart(mouse, others, SPLIT, tally, "human", within_species=True)
    assert kept.group.tolist() == ["a", "c", ""]  # with the names that they came with
    assert tally.dropped == {f"shares {SHARED} nt with a window of human": 1}
    human = mouse._replace(species=np.full(4, "human"))
    assert set_apart(human, others, SPLIT, tally, "human", within_species=True).group.tolist() == ["c", ""]
    assert kept_rows(mouse, others) == [1, 2]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 50),
    folds=st.integers(2, 4),
    pretraining=st.integers(1, 4),
    by=st.sampled_from(["group", "cluster"]),
)
def test_no_window_for_pretraining_has_anything_in_common_with_a_fold(
    seed: int, folds: int, pretraining: int, by: str
) -> None:
    rng = np.random.default_rng(seed)
    own = sequence(240, seed)
    own[rng.integers(240, size=40), :25] = own[rng.integers(240, size=40), 10:35]  # families across genes
    raw = table_of(own, [f"gene {n}" for n in np.arange(240) // 4], origins((np.arange(240) * 100).tolist()))
    more = sequence(60, seed + 100)
    more[:20, 10:35] = own[rng.integers(240, size=20), :25]
    extra = table_of(
        more, [f"gene {n}" for n in rng.integers(50, 90, size=60)], origins(rng.integers(40_000, size=60).tolist())
    )
    split = SplitConfig(folds=folds, shared=SHARED, pretraining=pretraining, by=by)  # type: ignore[arg-type]

    table = assign_parts(raw, split)
    rows = pretraining_rows(table, split)
    evaluated = np.setdiff1d(np.arange(240), rows)
    tally = Tally("windows", "all")
    labelled = set_apart(concatenate([raw.take(rows), extra]), raw.take(evaluated), split, tally)

    tests = [fold_rows(table, split, fold) for fold in range(folds)]
    in_folds = np.unique(np.concatenate([np.concatenate(fold) for fold in tests]))
    assert not np.intersect1d(rows, in_folds).size
    assert sorted([*in_folds, *selection_rows(table, split)]) == evaluated.tolist()
    held = raw.take(evaluated)
    if by == "group":
        assert not set(labelled.group.tolist()) & set(held.group.tolist())
        places = np.array([int(text.split(":")[1].split("-")[0]) for text in held.origin])
        ours = np.array([int(text.split(":")[1].split("-")[0]) for text in labelled.origin])
        assert np.abs(places[:, None] - ours).min() >= LENGTH
    words = {one for strand in (held.tokens, reverse_complement(held.tokens)) for one in stretches(strand)}
    assert not words & stretches(labelled.tokens)


def stretches(tokens: Tokens) -> set[bytes]:
    return {window[k : k + SHARED].tobytes() for window in tokens for k in range(LENGTH - SHARED + 1)}
