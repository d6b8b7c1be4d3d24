"""Every GET of the vendor's description is a stream, or the README says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tap_coursera.tap import STREAMS

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = ROOT.parent / "shared/facts/coursera-openapi.yaml"
README = (ROOT / "tap-coursera/README.md").read_text(encoding="utf-8")
ORG, SKILLS = "/api/businesses.v1/{orgId}", "/api/rest/v1/enterprise"
STREAM_OF = {
    ORG: "organizations",
    f"{ORG}/users": "users",
    f"{ORG}/programs": "programs",
    f"{ORG}/contents": "contents",
    f"{ORG}/enrollmentReports": "enrollments",
    f"{ORG}/courseGradebookReports": "course_grades",
    f"{ORG}/programs/{{programId}}/memberships": "program_memberships",
    f"{ORG}/programs/{{programId}}/invitations": "program_invitations",
    f"{ORG}/programs/{{programId}}/curriculumCollections": "curriculum_collections",
    f"{ORG}/programs/{{programId}}/courseMaterials/{{courseId}}": "course_materials",
    f"{SKILLS}/organizations/{{orgId}}/skillsets": "skillsets",
    f"{SKILLS}/organizations/{{orgId}}/skillsetReport": "skillset_progress",
}
OF_THE_SAME_ANSWERS = {"program_contents", "item_grades"}
OF_THE_TAP_ITSELF = {"stream_reads"}


def reasons() -> list[re.Pattern[str]]:
    """Addresses in the README's table of what is no stream, as patterns; any id stands for any parameter."""
    table = README.split("### What is no stream\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", table, flags=re.MULTILINE)
    addresses = [address for cell in cells for address in re.findall(r"`([^`]+)`", cell)]
    return [
        re.compile(re.escape(address).replace("…", ".*").replace(re.escape("{id}"), r"\{[^/]+\}") + "$")
        for address in addresses
    ]


def test_the_streams_are_those_that_the_addresses_lead_to() -> None:
    assert {stream.name for stream in STREAMS} == set(STREAM_OF.values()) | OF_THE_SAME_ANSWERS | OF_THE_TAP_ITSELF


@pytest.mark.skipif(not DESCRIPTION.exists(), reason="the vendor's description is not beside this checkout")
def test_every_get_that_returns_data_is_a_stream_or_has_its_reason_in_the_readme() -> None:
    paths = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))["paths"]
    gets = {path for path, methods in paths.items() if "get" in methods}
    assert set(STREAM_OF) <= gets
    unexplained = {path for path in gets - set(STREAM_OF) if not any(reason.search(path) for reason in reasons())}
    assert not unexplained
    assert all(any(reason.search(path) for path in gets - set(STREAM_OF)) for reason in reasons())
