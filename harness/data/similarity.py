"""How alike two texts are: Jaccard similarity of word shingles, and an index that finds alike texts fast.

A text's shingles are its words and its pairs of neighbouring words. The index is MinHash with banding
(Broder 1997; Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, chapter 3) from datasketch; it only
proposes candidates, and each is verified with the true similarity, so nothing it reports is a hash accident.

With `rarity` weights the similarity is the weighted Jaccard: a shingle counts log2(N/df) times, so words that
most questions share ("What is the capital of") say nothing and rare ones decide.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.records import Sample

Shingles = frozenset[str]

PERMUTATIONS = 192
"""Hash functions a sketch; more find looser pairs more surely."""
MISSED = 0.02
"""Largest share of pairs exactly at the threshold that the index may miss; closer pairs are missed less."""

_WORD = re.compile(r"\w+")


def normalise(text: str) -> str:
    """Text for exact comparison: Unicode NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def question_text(sample: Sample) -> str:
    """All that is asked: earlier turns but the system message, input and context; "" for plain text."""
    turns = [message.content for message in sample.history if message.role != "system"]
    return "\n\n".join(part for part in (*turns, sample.input, sample.context) if part)


def question_key(sample: Sample) -> str:
    """Equal for two samples that ask the same; plain text without a question stands for itself."""
    return normalise(question_text(sample) or sample.target or "")


def shingles(text: str, tag: str = "") -> Shingles:
    """Words and neighbouring word pairs of the normalised text, each with `tag` in front.

    Text without any word character ("???") falls back to its blank-separated pieces, so that it is not empty.
    """
    plain = normalise(text)
    words = _WORD.findall(plain) or plain.split()
    pairs = (f"{first} {second}" for first, second in pairwise(words))
    return frozenset(tag + shingle for shingle in (*words, *pairs))


def pair_shingles(sample: Sample) -> Shingles:
    """Shingles of question and answer; the same word counts apart in each."""
    return shingles(question_text(sample), "question ") | shingles(sample.target or "", "answer ")


def rarity(documents: Sequence[Shingles]) -> dict[str, int]:
    """Weight of every shingle: log2(N/df), rounded; 0 for one that most documents hold."""
    found = Counter(shingle for document in documents for shingle in document)
    return {shingle: round(math.log2(len(documents) / times)) for shingle, times in found.items()}


def similarity(first: Shingles, second: Shingles, weights: Mapping[str, int] | None = None) -> float:
    """Jaccard similarity, 0 to 1, weighted if weights are given; unknown shingles weigh 1.

    Where all shingles of both weigh nothing, the plain similarity decides.
    """
    if weights is not None:
        union = sum(weights.get(shingle, 1) for shingle in first | second)
        if union:
            return sum(weights.get(shingle, 1) for shingle in first & second) / union
    union = len(first | second)
    return len(first & second) / union if union else 1.0


def bands(threshold: float, permutations: int = PERMUTATIONS) -> tuple[int, int]:
    """(bands, rows a band): the most rows for which pairs at the threshold are missed at most `MISSED`.

    A pair of similarity s is proposed with probability 1 - (1 - s^rows)^bands.
    """
    for rows in range(permutations // 2, 1, -1):
        count = permutations // rows
        if (1 - threshold**rows) ** count <= MISSED:
            return count, rows
    return permutations, 1


@dataclass(frozen=True, slots=True)
class Sketch:
    """A document as the index sees it."""

    shingles: Shingles
    minhash: Any


class SimilarIndex:
    """Finds earlier documents whose similarity is at least `threshold`; numbers them as they are added."""

    def __init__(self, threshold: float, seed: int, weights: Mapping[str, int] | None = None) -> None:
        from datasketch import MinHash, MinHashLSH

        self._threshold = threshold
        self._weights = weights
        # The share of equal hashes estimates the similarity; 4 standard deviations below the threshold a
        # candidate need not be verified.
        self._promising = threshold - 4 * math.sqrt(threshold * (1 - threshold) / PERMUTATIONS)
        self._blank = MinHash(num_perm=PERMUTATIONS, seed=seed, hashfunc=int)
        self._lsh = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
        self._documents: list[Shingles] = []
        self._signatures = self._blank.hashvalues[None, :].repeat(64, axis=0)
        self._hashes: dict[str, list[int]] = {}

    def sketch(self, document: Shingles) -> Sketch:
        """MinHash of a document; a shingle of weight w enters as w distinct elements."""
        minhash = self._blank.copy()
        elements = [element for shingle in document for element in self._elements(shingle)]
        if not elements:
            elements = [_hash(shingle, 0) for shingle in document]
        minhash.update_batch(elements)
        return Sketch(document, minhash)

    def find(self, sketch: Sketch) -> list[int]:
        """Numbers of the added documents that are at least as similar as the threshold, lowest first."""
        import numpy as np

        candidates = np.array(sorted(self._lsh.query(sketch.minhash)), dtype=np.intp)
        agreement = (self._signatures[candidates] == sketch.minhash.hashvalues).mean(axis=1)
        return [
            number
            for number in candidates[agreement >= self._promising].tolist()
            if similarity(self._documents[number], sketch.shingles, self._weights) >= self._threshold
        ]

    def add(self, sketch: Sketch) -> int:
        """Add a document and return its number, counted from 0."""
        import numpy as np

        number = len(self._documents)
        self._documents.append(sketch.shingles)
        if number == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, self._signatures])
        self._signatures[number] = sketch.minhash.hashvalues
        self._lsh.insert(number, sketch.minhash)
        return number

    def _elements(self, shingle: str) -> list[int]:
        if shingle not in self._hashes:
            weight = 1 if self._weights is None else self._weights.get(shingle, 1)
            self._hashes[shingle] = [_hash(shingle, copy) for copy in range(weight)]
        return self._hashes[shingle]


def _hash(shingle: str, copy: int) -> int:
    content = f"{copy} {shingle}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "little")
