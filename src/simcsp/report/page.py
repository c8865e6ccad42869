"""A report as files: Markdown, and the same as one page of HTML that needs nothing beside it."""

import base64
from html import escape
from importlib.resources import files
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from simcsp import storage

REPORT = "report.md"
_PIXELS_PER_INCH = 112  # of a page: letters in a figure are then about as tall as those of a table
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def write_report(folder: Path, text: str, name: str = REPORT) -> None:
    """Write a report as Markdown and as a page, side by side.

    Args:
        folder: with the pictures that the text names.
        text: Markdown whose first line is its title.
        name: of the Markdown file; the page is called ``<name>.html``.

    Raises:
        FileNotFoundError: if a picture is not there.
    """
    storage.write_text(folder / name, text)
    storage.write_text((folder / name).with_suffix(".html"), html_page(text, folder))


def html_page(text: str, folder: Path) -> str:
    """Markdown (CommonMark and tables) as a whole document with its pictures and its style inside.

    It asks for no other file and runs no script. HTML within the text is shown, not obeyed. A picture that is a
    paragraph of its own becomes a figure whose caption is its alternative text.

    Args:
        text: whose first line is its title.
        folder: that names of pictures start from.

    Raises:
        FileNotFoundError: if a picture is not there.
    """
    title = text.partition("\n")[0].lstrip("# ")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    body = markdown.renderer.render(_prepared(markdown.parse(text), folder), markdown.options, {})
    style = files("simcsp.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _prepared(tokens: list[Token], folder: Path) -> list[Token]:
    """Tokens with pictures inside, figures for lone ones, and a frame that wide tables scroll in."""
    result: list[Token] = []
    for token in tokens:
        pictures = [child for child in token.children or () if child.type == "image"]
        for picture in pictures:
            path = folder / str(picture.attrs["src"])
            picture.attrs |= {"src": _inlined(path)} | _width(path)
        match token.type:
            case "table_open":
                result += [_html('<div class="table" role="region" tabindex="0" aria-label="table">\n'), token]
            case "table_close":
                result += [token, _html("</div>\n")]
            case "inline" if pictures and len(token.children or ()) == 1:
                result[-1].tag = "figure"  # the paragraph
                caption = _html(f'<figcaption aria-hidden="true">{escape(pictures[0].content)}</figcaption>')
                result += [token, caption]
            case "paragraph_close" if result[-1].content.startswith("<figcaption"):
                token.tag = "figure"
                result.append(token)
            case _:
                result.append(token)
    return result


def _html(text: str) -> Token:
    return Token("html_block", "", 0, content=text)


def _inlined(path: Path) -> str:
    """A picture as an address that holds it."""
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _width(path: Path) -> dict[str, str | int | float]:
    """Width on the page by the size that a picture was drawn in, so that letters of all are equally tall."""
    if path.suffix != ".png":
        return {}
    with Image.open(path) as picture:
        dots_per_inch = picture.info.get("dpi", (_PIXELS_PER_INCH,))[0]
        return {"width": round(picture.width / dots_per_inch * _PIXELS_PER_INCH)}
