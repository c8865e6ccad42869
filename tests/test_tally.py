from simcsp.tally import Tally


def worked_example() -> Tally:
    tally = Tally("introns", "genes.gtf", read=1200)
    tally.dropped["short"] += 2
    tally.dropped["also elsewhere"] += 100
    tally.dropped["never met"] += 0
    tally.changed["letters"] += 1500
    return tally


def test_what_was_not_dropped_is_kept() -> None:
    assert worked_example().kept == 1098
    assert Tally("introns", "genes.gtf").kept == 0


def test_a_tally_says_what_was_read_kept_dropped_and_changed() -> None:
    assert str(worked_example()).splitlines() == [
        "genes.gtf: 1,200 introns read, 1,098 kept",
        "    dropped 100: also elsewhere",
        "    dropped 2: short",
        "    changed 1,500: letters",
    ]


def test_reasons_are_those_that_were_met() -> None:
    assert worked_example().reasons == "100: also elsewhere, 2: short"
    assert Tally("introns", "genes.gtf").reasons == ""


def test_the_manifest_gets_every_count() -> None:
    assert worked_example().as_dict() == {
        "what": "introns",
        "source": "genes.gtf",
        "read": 1200,
        "kept": 1098,
        "dropped": {"also elsewhere": 100, "never met": 0, "short": 2},
        "changed": {"letters": 1500},
    }
