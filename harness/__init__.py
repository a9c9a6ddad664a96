"""checkpoint-harness."""
