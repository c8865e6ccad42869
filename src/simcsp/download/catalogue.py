"""Public data sets that ``prepare.py download`` knows: addresses, checksums, licences.

A typed table rather than YAML: there is nothing here for a user to change, a misspelt field is found before anything
runs, and the files of one data set are made by a loop.

Addresses of Hugging Face name a commit, so what is behind them cannot change.
"""

from dataclasses import dataclass
from typing import Literal

MB = 1_000_000
GB = 1_000_000_000


@dataclass(frozen=True)
class SumsList:
    """Where a publisher lists the checksums of its files.

    Attributes:
        form: `md5sums` (lines of sum and name), `zenodo` (a record of its API) or `huggingface` (a folder of its API).
        url: address of the list.
    """

    form: Literal["md5sums", "zenodo", "huggingface"]
    url: str


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a public data set.

    Attributes:
        url: address.
        target: path below the folder of downloads, with forward slashes.
        size: bytes, approximately.
        checksum: `md5:...`, `sha256:...`, or where the publisher lists it. Without any, the checksum of the first
            download is recorded and every later download must have it.
    """

    url: str
    target: str
    size: int
    checksum: str | SumsList | None = None


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A public data set.

    Attributes:
        title: what it is.
        use: what it is for here.
        files: what is fetched.
        licence: name of the licence.
        licence_url: where it is stated.
        citation: what to cite.
        note: what a user should know before.
        unpacked: 0, or the most bytes that the only file, a tar archive, may unpack to, in a folder named like the
            archive without `.tar.gz`.
    """

    title: str
    use: str
    files: tuple[RemoteFile, ...]
    licence: str
    licence_url: str
    citation: str
    note: str = ""
    unpacked: int = 0

    @property
    def size(self) -> int:
        """Bytes to fetch, approximately."""
        return sum(file.size for file in self.files)


def _hugging_face(name: str, data_set: str, commit: str, files: dict[str, int]) -> tuple[RemoteFile, ...]:
    """Files of a data set at one commit; ``files`` maps each path in the repository to its size in bytes."""
    remote = []
    for path, size in files.items():
        folder = path.rpartition("/")[0]
        listed = f"https://huggingface.co/api/datasets/{data_set}/tree/{commit}/{folder}".rstrip("/")
        url = f"https://huggingface.co/datasets/{data_set}/resolve/{commit}/{path}"
        target = f"{name}/{path}"
        remote.append(RemoteFile(url=url, target=target, size=size, checksum=SumsList("huggingface", listed)))
    return tuple(remote)


_ZENODO = "https://zenodo.org/records/7995778/files"
_ZENODO_SUMS = SumsList("zenodo", "https://zenodo.org/api/records/7995778")
_SPLICEATOR = "https://git.unistra.fr/nscalzitti/spliceator/-/raw/master/Data/Datasets"
_UCSC = "https://hgdownload.soe.ucsc.edu/goldenPath"
_GENCODE = "https://ftp.ebi.ac.uk/pub/databases/gencode/Gencode_human"
_MANE = "https://ftp.ncbi.nlm.nih.gov/refseq/MANE/MANE_human/release_1.5"

_CC_BY = "https://creativecommons.org/licenses/by/4.0/"
_NOT_STATED = "not stated: download, do not redistribute"
_CHEN = "Chen et al. 2024, Briefings in Bioinformatics 25:bbae163, doi:10.5281/zenodo.7995778"

SETS: dict[str, PublicSet] = {
    "splicebert-models": PublicSet(
        title="Weights of SpliceBERT: 1024nt, 510nt, human 510nt",
        use="published encoders for encoder.init",
        files=(
            RemoteFile(
                url=f"{_ZENODO}/models.tar.gz?download=1",
                target="splicebert-models.tar.gz",
                size=217_605_407,
                checksum=_ZENODO_SUMS,
            ),
        ),
        licence="CC-BY-4.0",
        licence_url=_CC_BY,
        citation=_CHEN,
        unpacked=1 * GB,
    ),
    "splicebert-data": PublicSet(
        title="Data of the SpliceBERT study: UMAP sites, Spliceator windows, variants, annotation, genomes",
        use="the published NMI and Spliceator figures",
        files=(
            RemoteFile(
                url=f"{_ZENODO}/data.tar.gz?download=1",
                target="splicebert-data.tar.gz",
                size=8_600 * MB,
                checksum=_ZENODO_SUMS,
            ),
        ),
        licence="CC-BY-4.0",
        licence_url=_CC_BY,
        citation=_CHEN,
        note="Archives inside the archive (spliceator.tgz) are left as they are.",
        unpacked=60 * GB,
    ),
    "spliceator": PublicSet(
        title="Spliceator's training windows of 600 nt, set GS_1",
        use="windows of format spliceator",
        files=tuple(
            RemoteFile(url=f"{_SPLICEATOR}/{path}", target=f"spliceator/{path.rpartition('/')[2]}", size=7 * MB)
            for path in (
                "Positive/GS/POS_donor_600.csv",
                "Positive/GS/POS_acceptor_600.csv",
                "Negative/GS/GS_1/full/Raw/NEG_600_donor.csv",
                "Negative/GS/GS_1/full/Raw/NEG_600_acceptor.csv",
            )
        ),
        licence=_NOT_STATED,
        licence_url="https://git.unistra.fr/nscalzitti/spliceator",
        citation="Scalzitti et al. 2021, BMC Bioinformatics 22:561",
        note="Paths not verified: they follow the authors' code. splicebert-data holds the same windows.",
    ),
    "hg19": PublicSet(
        title="Human genome hg19 (GRCh37), UCSC",
        use="FASTA of format genome or sites",
        files=(
            RemoteFile(
                url=f"{_UCSC}/hg19/bigZips/hg19.fa.gz",
                target="hg19/hg19.fa.gz",
                size=949 * MB,
                checksum="md5:806c02398f5ac5da8ffd6da2d1d5d1a9",
            ),
        ),
        licence="free to use",
        licence_url="https://genome.ucsc.edu/goldenPath/credits.html",
        citation="International Human Genome Sequencing Consortium 2001, Nature 409:860",
    ),
    "hg38": PublicSet(
        title="Human genome hg38 (GRCh38), UCSC, without patches",
        use="FASTA of format genome or sites",
        files=(
            RemoteFile(
                url=f"{_UCSC}/hg38/bigZips/hg38.fa.gz",
                target="hg38/hg38.fa.gz",
                size=983_659_424,
                checksum="md5:1c9dcaddfa41027f17cd8f7a82c7293b",
            ),
        ),
        licence="free to use",
        licence_url="https://genome.ucsc.edu/goldenPath/credits.html",
        citation="Schneider et al. 2017, Genome Research 27:849",
    ),
    "gencode": PublicSet(
        title="GENCODE 50, human genes on hg38",
        use="annotation of format genome",
        files=(
            RemoteFile(
                url=f"{_GENCODE}/release_50/gencode.v50.annotation.gtf.gz",
                target="gencode/gencode.v50.annotation.gtf.gz",
                size=124_527_720,
                checksum="sha256:83fba3e9b03f0b8c958f3595c6c350adc55f468abf8b0e47b6d5284cfe13a453",
            ),
        ),
        licence="open, EMBL-EBI terms of use",
        licence_url="https://www.ebi.ac.uk/about/terms-of-use/",
        citation="the GENCODE paper of the release, see gencodegenes.org",
        note="With tags: [MANE_Select] a source takes one transcript per protein-coding gene.",
    ),
    "gencode-hg19": PublicSet(
        title="GENCODE 41 lifted to hg19, the annotation of SpliceBERT's study",
        use="annotation of format genome with hg19",
        files=(
            RemoteFile(
                url=f"{_GENCODE}/release_41/GRCh37_mapping/gencode.v41lift37.annotation.gtf.gz",
                target="gencode-hg19/gencode.v41lift37.annotation.gtf.gz",
                size=62 * MB,
                checksum=SumsList("md5sums", f"{_GENCODE}/release_41/GRCh37_mapping/MD5SUMS"),
            ),
        ),
        licence="open, EMBL-EBI terms of use",
        licence_url="https://www.ebi.ac.uk/about/terms-of-use/",
        citation="Frankish et al. 2021, Nucleic Acids Research 49:D916",
        note="Path of the checksums not verified: it is that of release 45.",
    ),
    "mane": PublicSet(
        title="MANE 1.5, one transcript per human gene on hg38, Ensembl ids",
        use="annotation of format genome",
        files=(
            RemoteFile(
                url=f"{_MANE}/MANE.GRCh38.v1.5.ensembl_genomic.gtf.gz",
                target="mane/MANE.GRCh38.v1.5.ensembl_genomic.gtf.gz",
                size=8_600_000,
                checksum="sha256:71d4b3c89c9d948683bf0db5d81b00d9ae9f3b943177b74cbd87e68f08e34d66",
            ),
        ),
        licence="public domain, NCBI policies",
        licence_url="https://www.ncbi.nlm.nih.gov/home/about/policies/",
        citation="Morales et al. 2022, Nature 604:310",
    ),
    "gue": PublicSet(
        title="GUE splice sites, 400 nt (DNABERT-2's benchmark)",
        use="windows of format gue",
        files=_hugging_face(
            "gue",
            "fm4bio-ning/GUE_public",
            "6bad3b438e76b0b12905ed39f9bfef7e68547e54",
            {
                "splice_reconstructed/train.csv": 14_700_000,
                "splice_reconstructed/dev.csv": 1_840_000,
                "splice_reconstructed/test.csv": 1_840_000,
            },
        ),
        licence=_NOT_STATED,
        licence_url="https://huggingface.co/datasets/fm4bio-ning/GUE_public",
        citation="Zhou et al. 2024, ICLR, arXiv 2306.15006",
    ),
    "nt": PublicSet(
        title="Nucleotide Transformer's splice sites, revised benchmark, 600 nt",
        use="windows of format nt",
        files=_hugging_face(
            "nt",
            "InstaDeepAI/nucleotide_transformer_downstream_tasks_revised",
            "c91fa7dece707a92d07e96ad41c5953362a2e72e",
            {
                f"splice_sites_{kind}/{part}.fna": size
                for kind in ("donors", "acceptors", "all")
                for part, size in (("train", 19_100_000), ("test", 1_910_000))
            },
        ),
        licence="see the card of the data set",
        licence_url="https://huggingface.co/datasets/InstaDeepAI/nucleotide_transformer_downstream_tasks_revised",
        citation="Dalla-Torre et al. 2025, Nature Methods 22:287",
    ),
    "rotten_tomatoes": PublicSet(
        title="Movie review sentences (MR), 5,331 positive and 5,331 negative",
        use="labelled text, to test SCCS and NMI on",
        files=_hugging_face(
            "rotten_tomatoes",
            "cornell-movie-review-data/rotten_tomatoes",
            "aa13bc287fa6fcab6daf52f0dfb9994269ffea28",
            {"train.parquet": 699_000, "validation.parquet": 90_000, "test.parquet": 92_200},
        ),
        licence=_NOT_STATED,
        licence_url="https://huggingface.co/datasets/cornell-movie-review-data/rotten_tomatoes",
        citation="Pang & Lee 2005, ACL",
    ),
    "sst2": PublicSet(
        title="Stanford sentiment treebank, two classes (SST-2); its test part has no labels",
        use="labelled text, to test SCCS and NMI on",
        files=_hugging_face(
            "sst2",
            "stanfordnlp/sst2",
            "8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
            {
                "data/train-00000-of-00001.parquet": 3_110_000,
                "data/validation-00000-of-00001.parquet": 72_800,
                "data/test-00000-of-00001.parquet": 148_000,
            },
        ),
        licence=_NOT_STATED,
        licence_url="https://huggingface.co/datasets/stanfordnlp/sst2",
        citation="Socher et al. 2013, EMNLP",
    ),
    "subj": PublicSet(
        title="Subjective and objective sentences of movie pages (SUBJ)",
        use="labelled text, to test SCCS and NMI on",
        files=_hugging_face(
            "subj",
            "SetFit/subj",
            "2eba632847a64707391116d7e9b3cd72c700c5e6",
            {"train.jsonl": 1_450_000, "test.jsonl": 364_000},
        ),
        licence=_NOT_STATED,
        licence_url="https://huggingface.co/datasets/SetFit/subj",
        citation="Pang & Lee 2004, ACL",
    ),
    "imdb": PublicSet(
        title="IMDB movie reviews, 25,000 for training, 25,000 for testing, 50,000 without labels",
        use="labelled text, to test SCCS and NMI on",
        files=_hugging_face(
            "imdb",
            "stanfordnlp/imdb",
            "e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
            {
                "plain_text/train-00000-of-00001.parquet": 21_000_000,
                "plain_text/test-00000-of-00001.parquet": 20_500_000,
                "plain_text/unsupervised-00000-of-00001.parquet": 42_000_000,
            },
        ),
        licence=_NOT_STATED,
        licence_url="https://ai.stanford.edu/~amaas/data/sentiment/",
        citation="Maas et al. 2011, ACL",
    ),
}
