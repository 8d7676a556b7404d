"""A report as JUnit XML, which CI systems show as tests: a case that misses something is a failed test."""

import re
from xml.etree import ElementTree as Xml

from preceptor.evaluation.report import CaseResult, Report, came, explained

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""


def to_junit(report: Report) -> str:
    """Returns the report as JUnit XML; each reason why the run did not pass is a failed test of its own."""
    failed = sum(bool(case.missed and not case.error) for case in report.cases) + len(report.problems)
    suite = Xml.Element(
        "testsuite",
        name=report.dataset,
        tests=str(len(report.cases) + len(report.problems)),
        failures=str(failed),
        errors=str(sum(bool(case.error) for case in report.cases)),
        time=f"{sum(case.seconds or 0.0 for case in report.cases):.3f}",
        timestamp=report.began.isoformat(timespec="seconds"),
    )
    for case in report.cases:
        _add(suite, report, case)
    for problem in report.problems:
        test = Xml.SubElement(suite, "testcase", classname=f"{report.dataset}.run", name=_clean(problem)[:80])
        Xml.SubElement(test, "failure", message=_clean(problem))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: Xml.Element, report: Report, case: CaseResult) -> None:
    times = f" [{case.repeat}/{report.repeats}]" if report.repeats > 1 else ""
    test = Xml.SubElement(
        suite,
        "testcase",
        classname=f"{report.dataset}.{_clean(case.kind)}",
        name=_clean(case.name) + times,
        time=f"{case.seconds or 0.0:.3f}",
    )
    if case.error:
        error = Xml.SubElement(test, "error", message=_clean(case.error))
        error.text = _clean(case.traceback or "")
    elif case.missed:
        failure = Xml.SubElement(test, "failure", message=explained([case]))
        failure.text = _clean(f"{case.question}\n{came(case)}\n\n{case.answer or ''}")


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
