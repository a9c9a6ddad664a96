"""What has been computed is kept: responses, scores, judgments and runs of one workspace."""

from harness.store.base import NoStore, Storage, Table
from harness.store.cached import Answered, Scored, answer, score_pairs
from harness.store.keys import RequestKind, response_key
from harness.store.sqlite import Store

__all__ = [
    "Answered",
    "NoStore",
    "RequestKind",
    "Scored",
    "Storage",
    "Store",
    "Table",
    "answer",
    "response_key",
    "score_pairs",
]
