"""Text from outside, made fit to be shown.

Model outputs are hostile or at least strange: control and ANSI characters, characters that turn the reading direction,
lone surrogates that no file can hold. `visible` turns those into escapes a reader can see; escaping for HTML is
the template engine's work. `redact` keeps the reader's home folder and access tokens out of a file that is mailed
around.
"""

from __future__ import annotations

import re

_LINE_ENDS = re.compile(r"\r\n?")
_STRANGE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u061c\u202a-\u202e\u2066-\u2069"  # turn the reading direction
    "\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff"  # line separators, byte order mark, annotation, no characters
    "\ud800-\udfff"  # lone surrogates
    "\U000e0000-\U000e007f"  # invisible tags
    "]"
)
_HOMES = re.compile(
    r"(?:/home/[^/\s\"']+|/Users/[^/\s\"']+|/root|[A-Za-z]:[\\/]+Users[\\/]+[^\\/\s\"']+)(?=[\\/\s\"':;,)]|$)"
)
_SECRETS = re.compile(
    r"\b(?:hf_|sk[-_]|gh[pousr]_|github_pat_|glpat-|xox[abp]-)[A-Za-z0-9_-]{16,}"
    r"|\bAKIA[A-Z0-9]{16}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?i:(?<=key=)|(?<=token=)|(?<=password=)|(?<=--token )|(?<=--api-key ))[^\s\"'&]+"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str) -> str:
    r"""The text with control, direction and unencodable characters as escapes such as `\x1b`; line ends become \n."""
    return _STRANGE.sub(_escape, _LINE_ENDS.sub("\n", text))


def redact(text: str) -> str:
    """The text with home folders as `~` and anything that looks like an access token as `[redacted]`."""
    return _SECRETS.sub("[redacted]", _HOMES.sub("~", text))


def shorten(text: str, limit: int = 60) -> str:
    """One line of at most `limit` characters, ending in an ellipsis where something was left out."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"
