"""A page holds all that it shows, and says what the Markdown says."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from simcsp.report.figures import f1_boxplot
from simcsp.report.page import html_page, write_report

TEXT = """# Run <my> run & others

**Does it help?** No: F1 < 0.5 & falling.

## Scores

| model | F1 |
|---|---|
| CNN | 0.9 |
| `x` | – |

![F1 of "every" model](f1.png)

- one
- two, with <script>alert(1)</script>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    f1_boxplot({"baseline": [0.9, 0.91]}).savefig(tmp_path / "f1.png")
    return tmp_path


class Reader(HTMLParser):
    """Elements that are open, all that were there, what they ask for, and the text of each."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.asked: list[str] = []
        self.text: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.asked += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_one_whole_file(folder: Path) -> None:
    page = html_page(TEXT, folder)
    found = read(page)
    assert page.startswith("<!doctype html>")
    assert "script" not in found.seen
    assert "link" not in found.seen
    assert "@import" not in page
    assert "url(" not in page
    (picture,) = found.asked
    kind, _, data = picture.partition(";base64,")
    assert kind == "data:image/png"
    assert base64.b64decode(data) == (folder / "f1.png").read_bytes()


def test_it_says_what_the_markdown_says(folder: Path) -> None:
    found = read(html_page(TEXT, folder))
    assert found.text["title"] == ["Run <my> run & others"]
    assert "".join(found.text["h1"]) == "Run <my> run & others"
    assert found.text["th"] == ["model", "F1"]
    assert [cell for cell in found.text["td"] if cell.strip()] == ["CNN", "0.9", "–"]
    assert "".join(found.text["li"]) == "onetwo, with <script>alert(1)</script>"


def test_a_picture_is_a_figure_with_a_caption(folder: Path) -> None:
    page = html_page(TEXT, folder)
    assert read(page).text["figcaption"] == ['F1 of "every" model']
    assert 'alt="F1 of &quot;every&quot; model"' in page
    assert re.search(r"<figure><img [^>]*><figcaption [^>]*>[^<]*</figcaption></figure>", page)


def test_letters_of_all_pictures_are_equally_tall(folder: Path) -> None:
    figure = Figure(figsize=(3, 2))
    figure.savefig(folder / "coarse.png", dpi=50)
    figure.savefig(folder / "fine.png", dpi=200)
    figure.savefig(folder / "lines.svg")
    Image.new("RGB", (30, 20)).save(folder / "plain.png")  # says nothing of inches
    page = html_page("# Sizes\n\n![](coarse.png)\n\n![](fine.png)\n\n![](plain.png)\n\n![](lines.svg)", folder)
    shown = [re.findall(r'width="(\d+)"', picture) for picture in re.findall(r"<img [^>]*>", page)]
    assert shown == [["336"], ["336"], ["30"], []]


def test_it_is_made_for_dark_screens_and_for_print(folder: Path) -> None:
    page = html_page(TEXT, folder)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_both_files_are_written_side_by_side(folder: Path) -> None:
    write_report(folder, TEXT)
    assert (folder / "report.md").read_text() == TEXT
    assert (folder / "report.html").read_text() == html_page(TEXT, folder)


def test_a_picture_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="f1"):
        html_page(TEXT, tmp_path)
