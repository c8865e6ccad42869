"""Read genomes, annotations and window files; write a corpus and labelled windows to data/prepared/<name>.

    python src/prepare.py --config configs/demo.yaml
    python src/prepare.py --config configs/human.yaml --data.window 400
    python src/prepare.py --config configs/demo.yaml --print-config
    python src/prepare.py download hg38                                  # public data by name; --list shows all

Prints what every source held, what was kept, and what was dropped and why; the same goes into manifest.json, with the
assembly of every genome, the split, and the windows that the corpus holds.
"""

import sys
from pathlib import Path

import numpy as np

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import RunConfig, SplitConfig, as_plain
from simcsp.console import run_script, say
from simcsp.datasets.corpus import Corpus, write_corpus
from simcsp.datasets.exposure import exposed_windows, exposure_record
from simcsp.datasets.orthologues import read_orthologues, whole_sites
from simcsp.datasets.pairs import LABELLED, ORTHOLOGUES
from simcsp.datasets.readers import READERS
from simcsp.datasets.set_apart import set_apart
from simcsp.datasets.splits import assign_parts, pretraining_rows, require_usable_parts, split_record
from simcsp.datasets.windows import TRANSFER, WindowTable, concatenate, drop_duplicates, save_windows
from simcsp.download.command import download
from simcsp.errors import InputError
from simcsp.sequence.assembly import identify
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.sequence.simulate import write_genomes
from simcsp.stages import enter_stage, stage_folder
from simcsp.tally import Tally

CACHE = runs.ROOT / "data" / "cache"
_PURPOSES = {"labelled": 1, "transfer": 2}  # of sources beside those of the folds, for their random numbers


def main() -> None:
    """Prepare the data of one configuration, or download a public data set."""
    if sys.argv[1:2] == ["download"]:
        download(sys.argv[2:])
        return
    config = parse_config(__doc__, stage="prepare")
    _simulate(config)
    if enter_stage(config, "prepare", _input_hashes(config)):
        target = stage_folder(config, "prepare")
        with runs.discarded_on_error(target):
            _prepare(config, target)


def _prepare(config: RunConfig, target: Path) -> None:
    with storage.whole_folder(target / "corpus") as folder:
        corpus_tallies = write_corpus(config.data, folder, CACHE)
    tables, window_tallies = _tables(config)
    for name, one in tables.items():
        with storage.whole_folder(target / name) as folder:
            save_windows(one, folder)
    table = tables["windows"]
    for heading, tallies in (("for the corpus:", corpus_tallies), ("for the windows:", window_tallies)):
        say("\n".join([f"prepare: {heading}", *map(str, tallies)]))
    exposure = exposed_windows(table.tokens, target / "corpus")
    size = Corpus(target / "corpus", config.data.window).size
    manifest = {
        "corpus nucleotides": size,
        **{name: len(one.label) for name, one in tables.items()},
        "assemblies": _assemblies(config),
        "sources": [tally.as_dict() for tally in (*corpus_tallies, *window_tallies)],
        "split": split_record(table, config.split),
        "exposure": exposure_record(exposure, table.part),
    }
    storage.write_json(target / "manifest.json", manifest)
    runs.close_stage(target, {"windows": len(table.label), "corpus": size})
    say(f"prepare: {exposure.exposed.sum():,} of {len(table.label):,} windows are in the corpus, without their labels")
    say(f"prepare: corpus of {size:,} nt; {table}; written to {target.relative_to(runs.ROOT)}")


def _assemblies(config: RunConfig) -> dict[str, dict[str, object]]:
    """FASTA → its assembly, where it can be told, and the lengths of its contigs."""
    paths = {source.sequences for source in config.data.corpus if source.format == "genome"}
    paths |= {
        one.fasta
        for one in (*config.data.windows, *config.data.labelled, *config.data.transfer)
        if one.fasta is not None
    }
    paths |= {path for source in config.data.orthologues for path in (source.fasta, *source.others)}
    genomes = {str(path): Genome(config.data.root / path, CACHE) for path in sorted(paths)}
    return {
        path: {"assembly": identify(genome.lengths) or "unknown", "contigs": genome.lengths}
        for path, genome in genomes.items()
    }


def _simulate(config: RunConfig) -> None:
    if config.data.simulate is None:
        return
    folder = config.data.root
    settings = {"simulate": as_plain(config.data.simulate), "seed": config.data.seed}
    if runs.open_stage(folder, settings, {}) is not runs.State.FINISHED:
        species = write_genomes(config.data.simulate, folder, config.data.seed)
        runs.close_stage(folder, {"species": [one.name for one in species]})
        say(f"prepare: simulated genomes of {', '.join(one.name for one in species)} written to {folder}")


def _tables(config: RunConfig) -> tuple[dict[str, WindowTable], list[Tally]]:
    """Folder → windows: for choices and folds; of other species; and, apart from both, for pairs of pre-training."""
    data, split = config.data, config.split
    if not data.windows:
        raise InputError("the configuration names no source of windows", hint="Add at least one under data.windows")
    raw, tallies = _read("windows", config)
    table = assign_parts(raw, split)
    require_usable_parts(table, split)
    rows = pretraining_rows(table, split)
    evaluated, candidates = np.delete(np.arange(len(table.label)), rows), [raw.take(rows)]
    tables = {"windows": table.take(evaluated)}
    if data.transfer:
        tables[TRANSFER], more_tallies = _transfer(config, raw)
        tallies += more_tallies
    apart_from = (raw.take(evaluated), tables.get(TRANSFER))
    if data.labelled:
        more, more_tallies = _read("labelled", config)
        candidates.append(more)
        tallies += more_tallies
    if rows.size or data.labelled:
        tallies.append(Tally("windows", "labelled, all together"))
        found = drop_duplicates(concatenate(candidates), tallies[-1])
        tables[LABELLED], more_tallies = _for_pretraining(found, *apart_from, split, LABELLED)
        tallies += more_tallies
    for source in data.orthologues:
        sites, more_tallies = read_orthologues(source, data, CACHE)
        kept, tallies_apart = _for_pretraining(sites, *apart_from, split, ORTHOLOGUES)
        tallies += [*more_tallies, *tallies_apart]
        kept = whole_sites(sites, kept, tallies[-1])
        tables[ORTHOLOGUES] = concatenate([tables[ORTHOLOGUES], kept]) if ORTHOLOGUES in tables else kept
    return tables, tallies


def _transfer(config: RunConfig, raw: WindowTable) -> tuple[WindowTable, list[Tally]]:
    """Windows of other species that share nothing with `data.windows`, whatever those are for."""
    others, tallies = _read("transfer", config)
    tallies.append(Tally("windows", "of other species"))
    return set_apart(others, raw, config.split, tallies[-1], "data.windows", within_species=True), tallies


def _for_pretraining(
    found: WindowTable, evaluated: WindowTable, transfer: WindowTable | None, split: SplitConfig, name: str
) -> tuple[WindowTable, list[Tally]]:
    """Those windows that share nothing with any that models are chosen, tested or scored on."""
    tallies = [Tally("windows", f"{name}, for pre-training")]
    kept = set_apart(found, evaluated, split, tallies[-1])
    if transfer is not None:
        tallies.append(Tally("windows", f"{name}, for pre-training, apart from other species"))
        kept = set_apart(kept, transfer, split, tallies[-1], "data.transfer", within_species=True)
    return kept, tallies


def _read(purpose: str, config: RunConfig) -> tuple[WindowTable, list[Tally]]:
    """Windows of all sources of one purpose (`windows`, `labelled`, `transfer`), without duplicates."""
    tables, tallies = [], []
    for number, source in enumerate(getattr(config.data, purpose)):
        rng = _generator(config.data.seed, purpose, number)
        table, source_tallies = READERS[source.format](source, config.data, CACHE, rng)
        tables.append(table)
        tallies += source_tallies
    duplicates = Tally("windows", "all sources together")
    return drop_duplicates(concatenate(tables), duplicates), [*tallies, duplicates]


def _generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    """That of one source: another source more or less of another purpose does not change what it draws."""
    if purpose == "windows":
        return np.random.default_rng([seed, number])
    return np.random.default_rng([seed, _PURPOSES[purpose], number + 1])  # a 0 at the end would add nothing


def _input_hashes(config: RunConfig) -> dict[str, str]:
    """Hash of every file the configuration names."""
    files = {str(path): config.data.root / path for path in config.data.files}
    for path in files.values():
        require_readable(path, config.data.root)
    return {name: storage.sha256(path) for name, path in files.items()}


if __name__ == "__main__":
    run_script(main)
