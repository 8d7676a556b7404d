"""Evaluation: runs cases against an open book to show whether answers improved. See docs/evaluation.md."""
