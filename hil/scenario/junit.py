"""Outcomes as JUnit XML: a suite for each scenario, a case for each assertion."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from hil.scenario.outcome import Outcome


def write_junit(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write the file that CI servers read."""
    root = ET.Element("testsuites", name="hil scenario")
    for outcome in outcomes:
        failures = sum(not check.holds for check in outcome.checks)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=outcome.name,
            tests=str(len(outcome.checks)),
            failures=str(failures),
            errors="0",
            time=f"{outcome.took_s:.3f}",
        )
        ET.SubElement(ET.SubElement(suite, "properties"), "property", name="seed", value=str(outcome.seed))
        for check in outcome.checks:
            case = ET.SubElement(suite, "testcase", classname=f"scenario.{outcome.name}", name=check.text)
            if check.holds:
                ET.SubElement(case, "system-out").text = check.found
            else:
                ET.SubElement(
                    case, "failure", message=check.found
                ).text = f"line {check.line}: {check.text}: {check.found}"
    tree = ET.ElementTree(root)
    ET.indent(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)
