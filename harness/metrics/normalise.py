"""Text normalisation of SQuAD, in its parts.

The whole is `normalize_answer` of the official evaluation script of SQuAD 1.1 (Rajpurkar et al. 2016,
https://worksheets.codalab.org): lower case, then ASCII punctuation out, then the words a, an, the out, then
runs of whitespace to one space. Unicode is compared code point by code point: composed and decomposed accents
differ, and only ASCII punctuation counts as punctuation, both as in the original.
"""

from __future__ import annotations

import re
import string

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.IGNORECASE)


def without_punctuation(text: str) -> str:
    """Leave out ASCII punctuation; "U.S." becomes "US"."""
    return text.translate(_PUNCTUATION)


def without_articles(text: str) -> str:
    """Replace the English words a, an and the with a space."""
    return _ARTICLES.sub(" ", text)


def one_space(text: str) -> str:
    """Turn every run of whitespace into one space and cut it off at both ends."""
    return " ".join(text.split())


def squad(text: str) -> str:
    """Apply all of SQuAD's normalisation."""
    return one_space(without_articles(without_punctuation(text.lower())))
