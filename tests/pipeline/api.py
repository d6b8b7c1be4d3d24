"""The data that the sandbox of a project serves, read with a plain HTTP client, without tap or SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.pipeline.project import Project

ORG = "SandboxOrg-AAAAAAAAA_A"


def served(project: Project) -> dict[str, list[dict[str, Any]]]:
    """Return the elements of the API from which the rows of each stream are made, by stream."""
    base = f"http://127.0.0.1:{project.port}"
    with httpx.Client(base_url=base, timeout=60) as client:
        token = client.post(
            "/oauth2/client_credentials/token",
            auth=("sandbox-client-id", "sandbox-client-secret"),
            data={"grant_type": "client_credentials"},
        ).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"

        def every(path: str, **params: str) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = []
            start: str | None = "0"
            while start is not None:
                answer = client.get(
                    f"/ent/api/businesses.v1/{ORG}{path}", params={"limit": "500", **params, "start": start}
                )
                page = answer.raise_for_status().json()
                rows += page["elements"]
                start = page["paging"].get("next")
            return rows

        programs = every("/programs", excludeContent="false")
        ids = [program["id"] for program in programs]
        of_program = {
            "enrollments": ("/enrollmentReports", {"q": "byProgramId", "includeDeletedMembers": "true"}),
            "course_grades": ("/courseGradebookReports", {"q": "search", "includeDeletedMembers": "true"}),
        }
        found = {
            "organizations": every(""),
            "programs": programs,
            "program_contents": [content for program in programs for content in program["contentIds"]],
            "users": every("/users"),
            "contents": every("/contents"),
            "program_memberships": [row for one in ids for row in every(f"/programs/{one}/memberships")],
            "program_invitations": [row for one in ids for row in every(f"/programs/{one}/invitations")],
            "curriculum_collections": [row for one in ids for row in every(f"/programs/{one}/curriculumCollections")],
        }
        for stream, path, name in (
            ("skillsets", "skillsets", "elements"),
            ("skillset_progress", "skillsetReport", "enterpriseUserSkillsets"),
        ):
            answer = client.get(f"/ent/api/rest/v1/enterprise/organizations/{ORG}/{path}", params={"limit": "1000"})
            found[stream] = answer.raise_for_status().json()[name]
        for stream, (path, params) in of_program.items():
            found[stream] = [row for one in ids for row in every(path, programId=one, **params)]
        found["item_grades"] = [item for row in found["course_grades"] for item in row.get("itemGradebooks", [])]
        return found
