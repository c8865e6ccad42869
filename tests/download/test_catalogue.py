import re
from urllib.parse import urlsplit

import pytest

from simcsp.download.catalogue import SETS, PublicSet, SumsList

every_set = pytest.mark.parametrize(("name", "public"), SETS.items(), ids=SETS.keys())


@every_set
def test_every_address_is_encrypted(name: str, public: PublicSet) -> None:
    lists = [file.checksum.url for file in public.files if isinstance(file.checksum, SumsList)]
    for url in (*(file.url for file in public.files), *lists, public.licence_url):
        parts = urlsplit(url)
        assert parts.scheme == "https", url
        assert parts.hostname
        assert parts.username is None
        assert "//" not in parts.path


@every_set
def test_every_file_lies_in_a_place_of_its_own(name: str, public: PublicSet) -> None:
    for file in public.files:
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)*", file.target)
        assert ".." not in file.target.split("/")
        assert file.target.split("/")[0] in (name, f"{name}.tar.gz")


def test_no_two_files_share_a_place_or_an_address() -> None:
    files = [file for public in SETS.values() for file in public.files]
    assert len({file.target for file in files}) == len(files)
    assert len({file.url for file in files}) == len(files)


@every_set
def test_stated_checksums_are_whole(name: str, public: PublicSet) -> None:
    for file in public.files:
        if isinstance(file.checksum, str):
            assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)


@every_set
def test_everything_a_user_should_know_is_said(name: str, public: PublicSet) -> None:
    assert public.files
    assert all(file.size > 0 for file in public.files)
    assert all((public.title, public.use, public.licence, public.citation))


@every_set
def test_only_a_single_archive_is_unpacked(name: str, public: PublicSet) -> None:
    archives = [file.target for file in public.files if file.target.endswith((".tar", ".tar.gz", ".tgz"))]
    assert archives == ([f"{name}.tar.gz"] if public.unpacked else [])
    assert public.unpacked == 0 or public.unpacked > public.size


@every_set
def test_hugging_face_is_asked_for_one_commit(name: str, public: PublicSet) -> None:
    for file in public.files:
        if "huggingface.co" not in file.url:
            continue
        found = re.fullmatch(r"https://huggingface\.co/datasets/([\w-]+/[\w-]+)/resolve/([0-9a-f]{40})/(.+)", file.url)
        assert found
        folder = "/".join(["", *found[3].split("/")[:-1]])
        listed = f"https://huggingface.co/api/datasets/{found[1]}/tree/{found[2]}{folder}"
        assert file.checksum == SumsList("huggingface", listed)
        assert file.target == f"{name}/{found[3]}"
