"""Statistics as pure functions over arrays: no labels, no files, no logging.

intervals: Student t and Wilson. paired: the paired t test. paired_binary: Newcombe and McNemar.
bootstrap: corpus measures from summed rows. multiplicity: Holm. power: how many samples would decide.
verdict: what a comparison says.
scipy.special gives the quantiles and is imported at the first call, since scipy.stats alone takes 0.7 s to
load.
"""

from harness.stats.bootstrap import bootstrap_interval, paired_bootstrap
from harness.stats.intervals import Interval, t_interval, wilson
from harness.stats.multiplicity import holm
from harness.stats.paired import PairedResult, paired_t
from harness.stats.paired_binary import paired_binary
from harness.stats.power import detectable_delta, samples_needed
from harness.stats.verdict import Decision, decide

__all__ = [
    "Decision",
    "Interval",
    "PairedResult",
    "bootstrap_interval",
    "decide",
    "detectable_delta",
    "holm",
    "paired_binary",
    "paired_bootstrap",
    "paired_t",
    "samples_needed",
    "t_interval",
    "wilson",
]
