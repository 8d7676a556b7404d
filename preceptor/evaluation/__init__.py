"""Whether answers got better or worse: cases run against an open book. See docs/evaluation.md."""
