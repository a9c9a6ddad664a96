"""How figures and verdicts are worded, the same on the page, in the terminal and in `results.json`."""
