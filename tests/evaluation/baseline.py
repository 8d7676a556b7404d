"""Writes the baseline that `make evaluate` compares with: a report without the texts, which no verdict needs."""

import json
import sys
from pathlib import Path

from preceptor.evaluation.report import Report

PATH = Path(__file__).with_suffix(".json")
_NEEDLESS = {
    "sources": (),
    "answer": None,
    "trace_id": None,
    "seconds": None,
    "unsupported": (),
    "needless": (),
}


def baseline(report: Report) -> str:
    """Returns a report as the baseline keeps it."""
    cases = tuple(case.model_copy(update=_NEEDLESS) for case in report.cases)
    kept = report.model_copy(update={"cases": cases}).model_dump(mode="json", exclude_defaults=True)
    return json.dumps(kept, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(baseline(Report.load(Path(sys.argv[1]))), encoding="utf-8")
