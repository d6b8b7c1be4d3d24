"""Every answer conforms to the vendor's own OpenAPI files; the test skips if these files are missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox

Json = dict[str, Any]
FACTS = Path(__file__).parents[3] / "shared" / "facts"
SKILLS = "/api/rest/v1/enterprise"

pytestmark = pytest.mark.skipif(
    not (FACTS / "coursera-openapi.yaml").exists(), reason="the vendor's OpenAPI files are not in ../shared/facts"
)


def patched(spec: Json) -> Json:
    """Return the vendor's description without its known defects."""
    schemas = spec["components"]["schemas"]
    schemas["BusinessOrganizationUser"]["required"] = ["externalId", "fullName", "id", "email", "membershipProgramIds"]
    schemas["BusinessOrganizationUser"]["properties"]["invitationProgramIds"] = {
        "type": "array",
        "items": {"type": "string"},
    }
    report = schemas["EnrollmentReport"]
    report["properties"]["programId"] = {"type": "string"}
    report["properties"]["grade"] = {"type": "number"}
    report["required"].append("programId")
    schemas["CurriculumCollectionItem"]["properties"]["id"] = {"type": "string"}
    del schemas["Pagination"]["required"]  # a single object has an empty `paging`
    return spec


def as_json_schema(node: Any) -> Any:
    """Return an OpenAPI 3.0 schema as a strict JSON Schema: a member that the vendor does not name is an error."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: as_json_schema(value) for key, value in node.items() if key not in {"example", "examples", "format"}}
    # The enum of the risk flags applies to the elements of the list.
    if found.get("type") == "array" and "enum" in found:
        found["items"] = {**found["items"], "enum": found.pop("enum")}
    if "oneOf" in found:  # the variants of extraMetadata overlap
        found["anyOf"] = found.pop("oneOf")
    if found.pop("nullable", False) is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    if isinstance(found.get("properties"), dict) and "type" not in found.get("properties", {}).get("type", {}):
        found.setdefault("additionalProperties", False)
        if "paging" in found["properties"]:  # Every envelope has this member, which some of the schemas lack.
            found["properties"]["linked"] = {"type": "object"}
    return found


@pytest.fixture(scope="module")
def spec() -> Json:
    raw: Json = yaml.safe_load((FACTS / "coursera-openapi.yaml").read_text())
    return patched(raw)


@pytest.fixture(scope="module")
def keys(college: RunningSandbox) -> dict[str, str]:
    """Values for the placeholders in the vendor's paths."""
    programs = college.all("/programs", excludeContent=False)
    program = programs[0]
    course = program["contentIds"][0]["contentId"]
    member = college.get(f"/programs/{program['id']}/memberships")["elements"][0]["externalId"]
    skillset = college.get(f"/rest/v1/enterprise/programs/{program['id']}/skillsets")["elements"][0]
    return {
        "orgId": college.org_id,
        "programId": program["id"],
        "courseId": course,
        "id": f"Course~{course}",
        "programId~externalId": f"{program['id']}~{member}",
        "external_id~content_type~content_id": f"{member}~Course~{course}",
        "skillsetId": skillset["skillsetId"],
        "skillId": skillset["skills"][0]["skillId"],
        "member": member,
    }


def test_every_read_endpoint_answers_as_the_vendor_describes(
    college: RunningSandbox, spec: Json, keys: dict[str, str], subtests: pytest.Subtests
) -> None:
    document = as_json_schema({"components": {"schemas": spec["components"]["schemas"]}})
    queries: dict[str, list[tuple[str, str | int | float | bool | None]]] = {
        "excludeContent": [("excludeContent", "false")],
        "q": [("q", "search")],
        "skillsetIds": [("skillsetIds", keys["skillsetId"])],
        "skillIds": [("skillIds", keys["skillId"])],
        "externalUserId": [("externalUserId", keys["member"])],
        "externalUserIds": [("externalUserIds", keys["member"])],
        "includeS12n": [("includeS12n", "true"), ("includeDeletedMembers", "true")],
        "modifiedSinceTimestamp": [("modifiedSinceTimestamp", "1700000000")],
        "limit": [("limit", "1000")],
    }
    checked = 0
    for path, operations in spec["paths"].items():
        if "get" not in operations:
            continue
        named = {parameter["name"] for parameter in operations["get"].get("parameters", [])}
        if not path.endswith("courseGradebookReports"):
            named.discard("q")
        params = [pair for name in sorted(named) for pair in queries.get(name, [])]
        url = path
        for name, value in keys.items():
            url = url.replace(f"{{{name}}}", value)
        with subtests.test(path):
            answer = college.client.get(
                f"{college.url}/ent{url}", params=params, headers={"Authorization": f"Bearer {college.token()}"}
            )
            assert answer.status_code == 200, answer.text
            content = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            errors = list(Draft7Validator({**document, **as_json_schema(content)}).iter_errors(answer.json()))
            assert not errors, [(list(error.absolute_path), error.message[:300]) for error in errors[:5]]
            assert any(answer.json().values())
            checked += 1
    assert checked >= 20


def test_the_token_is_as_the_vendor_describes(college: RunningSandbox) -> None:
    raw = yaml.safe_load((FACTS / "coursera-oauth-openapi.yaml").read_text())
    schema = as_json_schema(raw["components"]["schemas"]["ClientCredentialsTokenResponse"])
    schema["required"] = list(schema["properties"])
    answer = college.client.post(
        college.auth_url, auth=(college.client_id, college.client_secret), data={"grant_type": "client_credentials"}
    )
    Draft7Validator(schema).validate(answer.json())
