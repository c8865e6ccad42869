"""What is wrong with a configuration, where, and in a user's words: the parser's errors speak of Python's classes."""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from simcsp.config import RunConfig, section_in
from simcsp.config_file import Place, places
from simcsp.errors import InputError

_EVERY_SETTING = "See --help-settings for every setting"
_OPTIONS = ("config", "dry-run", "help", "help-settings", "print-config")
_KINDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "tuple": "a list, such as [a, b]",
    "str": "text: put it in quotes",
}  # fmt: skip
_NOISE = r"Parser key \"[\w.]+\": |Problem with given class_path '[\w.]+': "
_UNION = r"Does not validate against any of the Union subtypes .*? Errors: - "  # of settings that may be null
_BARE = _UNION + r"(Expected a (?:(?!\. ).)*?) - Expected a <class 'NoneType'> .* Given value: (.*)"
_OTHER = _UNION + r"(.*?)\.? - Expected a <class 'NoneType'>.*"
_GOT = r"\. Got value: (?P<value>.*)"
_MEANINGS = (  # what the parser says → what is wrong with the setting or option
    (r"(Group '(?P<group>[\w.]+)' does not accept option|Option) '(?P<key>.+?)'.*", "there is no such key"),
    (r"unrecognized arguments: (?P<option>-[^ =]+).*", "there is no such option"),
    (r"unrecognized arguments: (?P<option>\S+).*", "belongs to no option (a file: --config FILE.yaml)"),
    (r"the following arguments are required: (?P<missing>\w+).*", "has no value, and needs one"),
    (r"no value for (?P<key>[\w.]+)", "has no value, and needs one"),
    (r"no keys for (?P<key>[\w.]+)", "this is no set of keys and values"),
    (r"Expected a <class '(?P<kind>\w+)'>" + _GOT, "{value} is not {kind}"),
    (r"Expected a typing.Literal\[(?P<choices>.*?)\]" + _GOT, "{value} is not one of {choices}"),
    (r"Expected a tuple with (?P<number>\d+) elements" + _GOT, "must be a list of {number} values"),
    (r"Not a valid subclass of \w+\.?( Got value: (?P<value>.*?))? Sub.*", "{value} is no set of keys and values"),
    (r"Unable to load config '(?P<value>.*?)'.*", "{value} is no set of keys and values"),
    (r"Not of type Path: .*", "this is no path; put it in quotes if it is"),
    (r"argument (?P<option>--\S+): expected one argument", "a value is missing"),
    (r"Expected a dot import path string: (?P<value>.*)", "{value} is no set of keys and values"),
)  # fmt: skip


def explained(message: str, files: Sequence[Path], overrides: Sequence[str]) -> InputError:
    """An error of the parser, or of what settings are held to, with the place that it is about.

    Args:
        message: of the parser; one that is not known is left as it is.
        files: that were read, those that count more behind the others.
        overrides: options that were given beside them, such as `--data.window`.
    """
    text = re.sub(_BARE, r"\1. Got value: \2", " ".join(message.split()).rstrip("."))
    text = re.sub(_OTHER, r"\1", text)
    keys, text = dict.fromkeys(re.findall(r"Parser key \"([\w.]+)\": ", text)), re.sub(_NOISE, "", text)
    matches = ((re.fullmatch(pattern, text), problem) for pattern, problem in _MEANINGS)
    said, problem = next(((match.groupdict(), problem) for match, problem in matches if match), ({}, text))
    name = ".".join([*keys, *(said[part] for part in ("group", "key", "missing", "option") if said.get(part))])
    place = _place(name, said, files, overrides) if name else _place_of_check(text, files, overrides)
    path, line, entry, _ = place or (files[-1] if files and not overrides else None, None, None, None)
    where = f"{name}{f' (entry {entry})' if entry else ''}: " if name else ""
    hint = _nearest(name) if "there is no such" in problem else _EVERY_SETTING
    return InputError(
        f"{'' if path else 'configuration: '}{where}{_filled(problem, said)}", path=path, line=line, hint=hint
    )


def _filled(problem: str, said: dict[str, str | None]) -> str:
    """The problem with the value, and with what may stand there."""
    value, kind = said.get("value") or "", said.get("kind") or ""
    words = {
        "{value}": "this" if value[:1] in {"", "[", "{"} else f'"{value}"',
        "{kind}": _KINDS.get(kind, kind),
        "{choices}": (said.get("choices") or "").replace("'", ""),
        "{number}": said.get("number") or "",
    }
    return re.sub(r"\{\w+\}", lambda word: words.get(word[0], word[0]), problem)


def _place(name: str, said: dict[str, str | None], files: Sequence[Path], overrides: Sequence[str]) -> Place | None:
    """Where a setting has the value that the parser speaks of, or lacks one."""
    if _overridden(name, overrides):
        return None
    found = [place for file in reversed(files) for place in places(file, name)]
    written = [place for place in found if place.text is not None]
    if "missing" in said:
        return next((place for place in found if place.text in {None, "", "~", "null"}), None)
    if (value := said.get("value")) is None:
        return next(iter(written), None)
    word = rf"(?<!\w){re.escape(value)}(?!\w)"
    fitting = (place for place in written if re.search(word, place.text or "", re.IGNORECASE))
    return next(fitting, written[0] if len(written) == 1 else None)  # the value is written as YAML has it, or read


def _place_of_check(text: str, files: Sequence[Path], overrides: Sequence[str]) -> Place | None:
    """Where the setting is written that a check of ours is about, if that is one setting and one place only."""
    subject = re.split(r"\b(?:must|is|are|has|have|needs?)\b", text, maxsplit=1)[0]
    words = tuple(f".{word}" for word in re.findall(r"\w+(?:\.\w+)*", subject))
    names = [name for name in _known() if f".{name}".endswith(words)]
    sections = {name.rpartition(".")[0] for name in names}
    if len({name.rpartition(".")[2] for name in names}) > 1 or any(_overridden(one, overrides) for one in sections):
        return None  # another setting of the check may be at fault
    for file in reversed(files):
        found = [place for name in names for place in places(file, name) if place.text is not None]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _overridden(name: str, overrides: Sequence[str]) -> bool:
    """Whether the command line sets it, what it is in, or what is in it: then a file need not be at fault."""
    given = [f"{option.removeprefix('--')}." for option in overrides]
    return any(f"{name}.".startswith(option) or option.startswith(f"{name}.") for option in given)


def _nearest(unknown: str) -> str:
    """The setting or option that was probably meant: one of the same section if any is like it."""
    dashes = "--" if unknown.startswith("--") else ""
    section, _, last = unknown.removeprefix("--").rpartition(".")
    known = [*_known(), *(_OPTIONS if dashes else ())]
    for names in ([name for name in known if name.rpartition(".")[0] == section], known):
        close = difflib.get_close_matches(last, {name.rpartition(".")[2] for name in names}, n=1)
        same = [name for name in names if name.rpartition(".")[2] in close]
        if same:
            meant = max(same, key=lambda name: difflib.SequenceMatcher(None, unknown, name).ratio())
            return f"Did you mean {dashes}{meant if dashes or names is known else close[0]}?"
    return _EVERY_SETTING


def _known(cls: type = RunConfig, prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings, those of entries of lists and of sections that may be null included."""
    for f in dataclasses.fields(cls):
        yield prefix + f.name
        if (part := section_in(f.type)) is not None:
            yield from _known(part, f"{prefix}{f.name}.")
