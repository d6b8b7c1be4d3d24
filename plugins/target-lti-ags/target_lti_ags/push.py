"""Brings the gradebooks of the courses to what the ledger says they are to hold.

Courses are served side by side, the line items and scores of one course in order. Nothing is asked of a course that has
all that it is to have.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from target_lti_ags import platform as services
from target_lti_ags.addresses import scores_of
from target_lti_ags.errors import CourseError, PlatformError
from target_lti_ags.findings import CourseReport, Finding
from target_lti_ags.ledger import Push, decimal_text, now_ms
from target_lti_ags.people import AmbiguousError, Members

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_lti_ags.courses import Course
    from target_lti_ags.ledger import Ledger, LineItem, Score
    from target_lti_ags.platform import Answer, Platform

_COURSES_AT_ONCE = 4
_SECOND = 1000
_CONFLICT, _FORBIDDEN, _NOT_FOUND = 409, 403, 404
_MAYBE_STALE = {400, _CONFLICT, 422}
_MOST_CREATIONS = 3


@dataclass(frozen=True)
class Column:
    """A line item on the platform; its address is blank if it would have to be made (dry run)."""

    item: LineItem
    label: str
    maximum: str
    url: str


@dataclass(frozen=True)
class Pusher:
    """What is the same for all courses of a run."""

    ledger: Ledger
    platform: Platform
    match: str
    tag: str
    removes: bool
    """Whether line items that left are removed from the courses."""
    rehearses: bool
    """Whether nothing is written to the platform (dry run)."""
    step: Callable[[CourseReport], None]
    """Called with the report of each course when it is finished."""

    def run(self, courses: list[Course]) -> tuple[list[CourseReport], list[Finding], list[str]]:
        """Serve all courses; return a report of each, all findings, and the sentences that make the run fail."""
        groups: dict[str, list[Course]] = {}
        for course in courses:
            groups.setdefault(course.lineitems_url, []).append(course)
        failed = threading.Event()
        with ThreadPoolExecutor(_COURSES_AT_ONCE) as pool:
            jobs = [pool.submit(_Group(self, group, failed).serve) for group in groups.values()]
            done = [job.result() for job in jobs]
        found = [visit for visits, _ in done for visit in visits]
        findings = [finding for visit in found for finding in self._own(visit, found)]
        mapped = {course.class_id for course in courses}
        findings += [Finding("class-not-mapped", key) for key, _ in self.ledger.classes() if key not in mapped]
        findings += [
            Finding("line-item-unknown", line_item_id=key) for key, _ in self.ledger.line_items_without_record()
        ]
        errors = dict.fromkeys(error for _, error in done if error)
        return [visit.report for visit in found], findings, list(errors)

    @staticmethod
    def _own(visit: _Visit, visits: list[_Visit]) -> list[Finding]:
        """Return the findings of a course without people who are in another course of the same class."""
        others = {
            person
            for other in visits
            if other is not visit and other.course.class_id == visit.course.class_id
            for person in other.known
        }
        return [one for one in visit.report.findings if one.kind != "person-unknown" or one.person_id not in others]


class _Group:
    """The classes that go into one course of the LMS, one after the other."""

    def __init__(self, pusher: Pusher, courses: list[Course], failed: threading.Event) -> None:
        self._pusher, self._courses, self._failed = pusher, courses, failed

    def serve(self) -> tuple[list[_Visit], str]:
        """Serve each class; return a visit of each, and a sentence if the run fails by it (blank if not)."""
        visits = [_Visit(self._pusher, course, self._failed) for course in self._courses]
        error = ""
        for visit in visits:
            if self._failed.is_set():
                break
            try:
                visit.serve()
            except CourseError as wrong:
                visit.report.find(wrong.kind, status=wrong.status)
                if wrong.is_outage:
                    error = "A course could not be finished, because the platform failed or did not answer: run again."
            except PlatformError as wrong:
                self._failed.set()
                return visits, str(wrong)
            self._pusher.step(visit.report)
        if self._pusher.removes and not error and not self._failed.is_set():
            wanted = {key for visit in visits for key in visit.wanted}
            try:
                visits[0].remove_others(wanted)
            except CourseError as wrong:
                visits[0].report.find(wrong.kind, status=wrong.status)
        return visits, error


class _Visit:
    """One class in one course."""

    def __init__(self, pusher: Pusher, course: Course, failed: threading.Event) -> None:
        self._ledger, self._platform, self._pusher = pusher.ledger, pusher.platform, pusher
        self.course, self._failed = course, failed
        self.report = CourseReport(course.class_id, course.lineitems_url)
        self.known: set[str] = set()
        """The people who are members of the course."""
        self.wanted: set[str] = set()
        """The line items that the course is to have."""

    def serve(self) -> None:
        """Bring line items and scores to what they are to be.

        Raises:
            CourseError: the course cannot be finished.
            PlatformError: no course can.
        """
        items = self._items()
        maxima = {item.id: decimal_text(item.score_maximum) or "" for item in items}
        scores = self._scores(maxima)
        columns = self._ledger.columns(self.course.lineitems_url)
        self.known = {score.person.id for score in scores if score.last and score.last.state == "delivered"}
        waiting = [one for one in scores if not self._has(one, maxima, columns.get(one.line_item_id, ("",))[0])]
        stale = [item for item in items if columns.get(item.id, ("", "", ""))[1:] != (_label(item), maxima[item.id])]
        self.report.counts["unchanged"] = len(scores) - len(waiting)
        if not waiting and not stale:
            return
        made = self._columns(items, columns)
        waiting = [
            one for one in scores if one.line_item_id in made and not self._has(one, maxima, made[one.line_item_id].url)
        ]
        self.report.counts["unchanged"] = sum(
            self._has(one, maxima, made[one.line_item_id].url) for one in scores if one.line_item_id in made
        )
        self.report.counts["pending"] = len(waiting)
        if waiting:
            self._send(waiting, scores, made, maxima)

    def _has(self, score: Score, maxima: dict[str, str], url: str) -> bool:
        return score.is_delivered(score.score_maximum or maxima[score.line_item_id], url)

    def _items(self) -> list[LineItem]:
        """Return the line items that are to be columns of the course."""
        of_class = [item for item in self._ledger.line_items() if item.class_id == self.course.class_id]
        living = [item for item in of_class if not item.has_left]
        chosen = [item for item in living if self.course.takes(item.id, item.label, is_total=item.is_total)]
        if living and self.course.grade_sync in {"final", "incremental"} and not chosen:
            self.report.find("no-total")
        self.wanted = {item.id for item in chosen}
        whole = []
        for item in chosen:
            if _label(item) and item.score_maximum and Decimal(item.score_maximum) > 0:
                whole.append(item)
            else:
                self.report.find("line-item-incomplete", line_item_id=item.id)
        return whole

    def _scores(self, maxima: dict[str, str]) -> list[Score]:
        """Return the scores that are to be in the course."""
        found = []
        for score in self._ledger.scores(self.course):
            if score.line_item_id not in maxima or score.score is None:
                continue
            if self.course.section and score.section != self.course.section:
                continue
            if self.course.grade_sync == "final" and not score.is_final:
                continue
            most = Decimal(score.score_maximum or maxima[score.line_item_id])
            if most > 0 and 0 <= Decimal(score.score) <= most:
                found.append(score)
            else:
                self.report.find("score-out-of-range", line_item_id=score.line_item_id, person_id=score.person.id)
        return found

    # Line items

    def _there(self) -> dict[str, list[dict[str, Any]]]:
        """Return the line items of the course with our tag, by resourceId; no others are ever touched."""
        found: dict[str, list[dict[str, Any]]] = {}
        pages = self._platform.pages(self.course.lineitems_url, services.LINE_ITEM_LIST, {"tag": self._pusher.tag})
        for page in pages:
            if not isinstance(page, list):
                raise CourseError("course-failed", "The platform answered with something that is no list.")
            for one in page:
                if isinstance(one, dict) and one.get("tag") == self._pusher.tag and isinstance(one.get("id"), str):
                    found.setdefault(str(one.get("resourceId")), []).append(one)
        return found

    def _columns(self, items: list[LineItem], known: dict[str, tuple[str, str, str]]) -> dict[str, Column]:
        """Make or change line items on the platform; return those that scores can be sent to."""
        there = self._there()
        made = {}
        for item in items:
            self._stop_if_failed()
            same = there.get(item.id, [])
            if len(same) > 1:
                self.report.find("line-item-twice", line_item_id=item.id)
                same = [one for one in same if one["id"] == known.get(item.id, ("",))[0]] or same
            found = same[0] if same else None
            url = self._changed(item, found) if found else self._created(item)
            if url is None:
                continue
            column = made[item.id] = Column(item, _label(item), decimal_text(item.score_maximum) or "", url)
            if url:
                self._ledger.put_column(self.course.lineitems_url, item.id, url, column.label, column.maximum)
        return made

    def _created(self, item: LineItem) -> str | None:
        """Make a line item; return its address, blank in a dry run, or None if it is refused."""
        if self._pusher.rehearses:
            self.report.counts["columns_made"] += 1
            return ""
        for _ in range(_MOST_CREATIONS):
            answer = self._platform.ask(
                "POST",
                self.course.lineitems_url,
                accept=services.LINE_ITEM,
                content_type=services.LINE_ITEM,
                body={
                    "label": _label(item),
                    "scoreMaximum": _number(item.score_maximum),
                    "resourceId": item.id,
                    "tag": self._pusher.tag,
                },
                repeat_uncertain=False,  # or there might be two
            )
            if answer.is_done and isinstance(answer.body, dict) and isinstance(answer.body.get("id"), str):
                self.report.counts["columns_made"] += 1
                return self._checked(answer.body["id"])
            if not answer.is_done and not answer.is_outage:
                self._refused_item(item, answer)
                return None
            if same := self._there().get(item.id):
                return self._checked(same[0]["id"])
        raise services.course_error(answer)

    def _changed(self, item: LineItem, found: dict[str, Any]) -> str | None:
        """Bring label and maximum of a line item to what they are to be; return its address."""
        url = self._checked(found["id"])
        if found.get("label") == _label(item) and decimal_text(found.get("scoreMaximum")) == item.score_maximum:
            return url
        self.report.counts["columns_changed"] += 1
        if self._pusher.rehearses:
            return url
        body = {name: value for name, value in found.items() if value is not None}
        body |= {"label": _label(item), "scoreMaximum": _number(item.score_maximum)}
        answer = self._platform.ask("PUT", url, accept=services.LINE_ITEM, content_type=services.LINE_ITEM, body=body)
        if answer.is_outage:
            raise services.course_error(answer)
        if answer.is_done:
            return url
        self._refused_item(item, answer)
        return None

    def _refused_item(self, item: LineItem, answer: Answer) -> None:
        if answer.status == _FORBIDDEN:
            raise services.course_error(answer)
        self.report.find("line-item-refused", line_item_id=item.id, status=answer.status)

    def _checked(self, url: str) -> str:
        self._platform.check(url, self.course.lineitems_url)
        return url

    def remove_others(self, wanted: set[str]) -> None:
        """Remove the line items that this ledger made and that the course is not to have any more.

        Raises:
            CourseError: the line items cannot be listed or removed.
        """
        known = self._ledger.columns(self.course.lineitems_url)
        leaving = known.keys() - wanted
        there = self._there() if leaving else {}
        for key in sorted(leaving):
            self._stop_if_failed()
            if self._pusher.rehearses:
                self.report.counts["columns_removed"] += 1
                continue
            for one in there.get(key, []):
                answer = self._platform.ask("DELETE", self._checked(one["id"]))
                if not answer.is_done and answer.status != _NOT_FOUND:
                    raise services.course_error(answer)
                self.report.counts["columns_removed"] += 1
            self._ledger.drop_column(self.course.lineitems_url, key)

    # Scores

    def _send(
        self, waiting: list[Score], scores: list[Score], columns: dict[str, Column], maxima: dict[str, str]
    ) -> None:
        users = self._users(scores)
        for score in waiting:
            self._stop_if_failed()
            user = users[score.person.id]
            about = {"line_item_id": score.line_item_id, "person_id": score.person.id}
            if user is None or isinstance(user, AmbiguousError):
                self.report.find("person-unknown" if user is None else "person-ambiguous", **about)
                self.report.counts["refused"] += 1
                continue
            if self._pusher.rehearses:
                self.report.counts["final" if score.is_final else "running"] += 1
                continue
            maximum = score.score_maximum or maxima[score.line_item_id]
            self._send_one(score, user, columns[score.line_item_id].url, maximum)

    def _users(self, scores: list[Score]) -> dict[str, str | AmbiguousError | None]:
        """Return the user id of each person."""
        people = list({score.person.id: score.person for score in scores}.values())
        if self._pusher.match == "sourced_id":
            return {person.id: person.id for person in people}
        members: list[dict[str, Any]] = []
        try:
            for page in self._platform.pages(self.course.memberships_url, services.MEMBER_LIST):
                found = page.get("members", ()) if isinstance(page, dict) else ()
                members += [one for one in found if isinstance(one, dict)]
        except CourseError as error:
            if error.kind == "course-refused":
                raise CourseError("members-refused", str(error), error.status) from error
            raise
        users = Members(self._pusher.match, members).match(people)
        self.known |= {person for person, user in users.items() if user is not None}
        return users

    def _send_one(self, score: Score, user: str, url: str, maximum: str) -> None:
        push, is_repeat = _planned(score, user, url, maximum)
        push, answer = self._post(score, push)
        stale = _is_stale(answer)
        if (stale and not (is_repeat or answer.is_uncertain)) or (is_repeat and answer.status == 400 and not stale):  # noqa: PLR2004
            # Nothing of ours was at the platform under this time, or it is not known whether: say so with a new time.
            later = max(now_ms(), push.timestamp_ms + _SECOND)
            push, is_repeat = replace(push, timestamp_ms=later, attempts=push.attempts + 1), False
            push, answer = self._post(score, push)
            stale = _is_stale(answer)
        if answer.is_done or (stale and (is_repeat or answer.is_uncertain)):
            self._ledger.answer(push.push, "delivered", answer.status)
            self.report.counts["sent" if answer.is_done else "already_there"] += 1
            self.report.counts["final" if score.is_final else "running"] += 1
            return
        if answer.is_outage:
            raise services.course_error(answer)
        self._ledger.answer(push.push, "refused", _CONFLICT if stale else answer.status)
        self.report.counts["refused"] += 1
        if answer.status == _FORBIDDEN:
            raise services.course_error(answer)
        self.report.find(
            "score-later" if stale else "score-refused",
            line_item_id=score.line_item_id,
            person_id=score.person.id,
            status=answer.status,
            attempts=push.attempts,
            since=_iso(push.first_attempt_ms),
        )

    def _post(self, score: Score, push: Push) -> tuple[Push, Answer]:
        """Store the intent, and send; return the push with its number, and the answer."""
        push = replace(push, push=self._ledger.intend(self.course.lineitems_url, score, push))
        body = {
            "userId": push.user_id,
            "scoreGiven": _number(push.score),
            "scoreMaximum": _number(push.score_maximum),
            "timestamp": _iso(push.timestamp_ms),
            "activityProgress": "Completed" if push.is_final else "InProgress",
            "gradingProgress": "FullyGraded",
        }
        if push.comment:
            body["comment"] = push.comment
        return push, self._platform.ask("POST", scores_of(push.line_item_url), content_type=services.SCORE, body=body)

    def _stop_if_failed(self) -> None:
        if self._failed.is_set():
            raise CourseError("course-failed", "The run was ended by another course.")


def _planned(score: Score, user: str, url: str, maximum: str) -> tuple[Push, bool]:
    """Return what to send, and whether it repeats what may have arrived already."""
    last = score.last
    same = last is not None and last.line_item_url == url and score.is_same(last, maximum)
    if last is not None and same and last.user_id == user and last.state == "sending":
        return replace(last, attempts=last.attempts + 1), True
    earliest = last.timestamp_ms + _SECOND if last is not None else 0
    if last is not None and last.answer == _CONFLICT and last.state == "refused":
        earliest = max(earliest, now_ms())
    time = max(score.changed_ms, earliest)
    if last is not None and same and last.state == "refused":
        return replace(last, user_id=user, timestamp_ms=time, attempts=last.attempts + 1), False
    push = Push(
        push=0,
        line_item_url=url,
        user_id=user,
        score=score.score or "",
        score_maximum=maximum,
        comment=score.comment,
        is_final=score.is_final,
        timestamp_ms=time,
        state="sending",
        attempts=1,
        first_attempt_ms=now_ms(),
        answer=None,
    )
    return push, False


def _is_stale(answer: Answer) -> bool:
    """Return whether the platform refuses a score because it has one that is not older."""
    return answer.status == _CONFLICT or (answer.status in _MAYBE_STALE and answer.says_timestamp)


def _label(item: LineItem) -> str:
    return " ".join((item.label or "").split())


def _number(text: str | None) -> int | float:
    number = Decimal(text or "0")
    return int(number) if number == number.to_integral_value() else float(number)


def _iso(milliseconds: int) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds // _SECOND, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % _SECOND:03}Z"
