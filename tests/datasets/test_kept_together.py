"""How groups are made is tested where they are used, in test_splits.py."""

import numpy as np

from simcsp.datasets.kept_together import places


def test_the_middle_of_a_site_is_the_middle_of_its_window() -> None:
    # a window of 20 nt has its site's dinucleotide at offsets 9 and 10
    found = places(np.array(["chr1:109-111:-", "chr1:100-120:-", "HLA:A*01:5-7:+", "windows:3", "chr1:1-2"]))
    assert found.known.tolist() == [True, True, True, False, False]
    assert found.contig.tolist() == ["chr1", "chr1", "HLA:A*01", "", ""]
    assert found.middle.tolist() == [110, 110, 6, 0, 0]
