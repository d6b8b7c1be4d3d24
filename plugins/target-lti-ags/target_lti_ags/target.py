"""The Singer target: settings, the order of things, and what the operator reads."""

from __future__ import annotations

import logging
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.helpers.capabilities import PluginCapabilities
from typing_extensions import override

from target_lti_ags import addresses, courses, findings, keys, people
from target_lti_ags import platform as services
from target_lti_ags.errors import PushError, SettingError
from target_lti_ags.ledger import Ledger
from target_lti_ags.push import Pusher
from target_lti_ags.sinks import LineItemSink, OtherSink, ScoreSink

if TYPE_CHECKING:
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.sinks import Sink

    from target_lti_ags.courses import Course
    from target_lti_ags.findings import CourseReport
    from target_lti_ags.platform import Platform

TAG = "target-lti-ags"
"""The tag by which the line items of this target are known on a platform."""

SINKS: dict[str, type[Sink]] = {"line_items": LineItemSink, "scores": ScoreSink}
"""The streams that are used."""

_TEXT = th.StringType(min_length=1)


class TargetLTIAGS(Target):
    """Sends line items and scores to the gradebook of an LMS, over LTI Advantage (AGS 2.0, NRPS 2.0)."""

    name = "target-lti-ags"
    package_name = "target-lti-ags"
    default_sink_class = OtherSink
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("issuer", _TEXT, required=True, description="The platform's issuer, as it shows it."),
        th.Property("client_id", _TEXT, required=True, description="The id that the platform gave to the tool."),
        th.Property("deployment_id", _TEXT, required=True, description="The id of the tool's deployment."),
        th.Property("token_url", _TEXT, required=True, description="Address of the platform's token service."),
        th.Property(
            "token_audience", _TEXT, description="Audience of the client assertion, where it is not the token_url."
        ),
        th.Property(
            "private_key_file",
            _TEXT,
            required=True,
            description="File of the tool's RSA private key in PEM, which only its owner can read.",
        ),
        th.Property("key_id", _TEXT, required=True, description="The id (kid) of the key in the tool's JWKS."),
        th.Property(
            "user_match",
            th.StringType,
            allowed_values=list(people.MATCHES),
            default="email",
            description=(
                "How people are matched: sourced_id takes the id of the person for the user id of the platform; the "
                "others compare with the members of the course."
            ),
        ),
        th.Property(
            "courses",
            th.ArrayType(th.ObjectType(additional_properties=True)),
            default=[],
            description="The courses: objects with class, lineitems_url and others.",
        ),
        th.Property("courses_file", _TEXT, description="A CSV file with more courses."),
        th.Property(
            "ledger", _TEXT, required=True, description="The file that remembers what was sent; made when missing."
        ),
        th.Property("findings_file", _TEXT, description="A file of JSON lines that is told what was found."),
        th.Property(
            "max_requests_per_second",
            th.NumberType(exclusive_minimum=0, maximum=1000),
            default=5,
            description="Requests per second, of all courses together.",
        ),
        th.Property(
            "remove_line_items",
            th.BooleanType,
            default=False,
            description="Whether line items that this target made are removed, with all their scores, when they left.",
        ),
        th.Property(
            "dry_run",
            th.BooleanType,
            default=False,
            description="Whether the platform is only read, and nothing is remembered.",
        ),
    ).to_dict()

    def __init__(self, *, config: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(config=config, **options)
        self.max_parallelism = 1
        self.platform, self.courses = self._platform(), self._courses()  # what is wrong is told before any input

    @cached_property
    def ledger(self) -> Ledger:
        """The memory of what is to be sent and was sent."""
        name = " ".join(self.config[part] for part in ("issuer", "client_id", "deployment_id"))
        return Ledger(self._file("ledger"), name, rehearsal=self.config["dry_run"])

    def _file(self, setting: str) -> Path:
        return Path(self.config[setting]).expanduser()

    def _platform(self) -> Platform:
        if not addresses.is_safe(self.config["token_url"]):
            raise SettingError("token_url is no https address: give the one that the platform shows.")
        scopes = [services.LINE_ITEMS_READ]
        if not self.config["dry_run"]:
            scopes = [services.LINE_ITEMS, services.LINE_ITEMS_READ, services.SCORES]
        if self.config["user_match"] != "sourced_id":
            scopes.append(services.MEMBERS)
        return services.Platform(
            client_id=self.config["client_id"],
            token_url=self.config["token_url"],
            audience=self.config.get("token_audience") or self.config["token_url"],
            key=keys.read(self._file("private_key_file"), self.config["key_id"]),
            scopes=scopes,
            requests_per_second=float(self.config["max_requests_per_second"]),
        )

    def _courses(self) -> list[Course]:
        file = self._file("courses_file") if self.config.get("courses_file") else None
        found = courses.configured([dict(one) for one in self.config["courses"]], file)
        match = self.config["user_match"]
        if match != "sourced_id" and (lacking := [one for one in found if not one.memberships_url]):
            raise SettingError(
                f"The course of class {lacking[0].class_id} has no memberships_url, which user_match {match} needs."
            )
        return found

    @override
    def get_sink_class(self, stream_name: str) -> type[Sink]:
        if stream_name not in SINKS:
            self.logger.warning("Stream %s is not used: this target takes %s.", stream_name, " and ".join(SINKS))
        return SINKS.get(stream_name, OtherSink)

    @override
    def _write_state_message(self, state: dict[str, Any]) -> None:
        # What was taken in is decided about from the ledger, so it may be passed on before it is sent.
        if not self.config["dry_run"]:
            self.ledger.commit()
            super()._write_state_message(state)

    @override
    def process_endofpipe(self) -> None:
        super().process_endofpipe()
        self.ledger.commit()
        pusher = Pusher(
            ledger=self.ledger,
            platform=self.platform,
            match=self.config["user_match"],
            tag=TAG,
            removes=self.config["remove_line_items"],
            rehearses=self.config["dry_run"],
            step=self._tell,
        )
        reports, found, errors = pusher.run(self.courses)
        self.ledger.close()
        if self.config.get("findings_file"):
            run = {"issuer": self.config["issuer"], "dry_run": self.config["dry_run"], "failed": bool(errors)}
            findings.write(self._file("findings_file"), run, reports, found)
        for sentence in findings.sentences(found):
            self.logger.warning(sentence)
        total = {name: sum(report.counts[name] for report in reports) for name in findings.COUNTED}
        self.logger.info("%s: %s", self._what("All courses"), _counted(total))
        if errors:
            raise PushError(" ".join(errors))

    def _tell(self, report: CourseReport) -> None:
        self.logger.info("%s: %s", self._what(f"Class {report.class_id}"), _counted(report.counts))

    def _what(self, name: str) -> str:
        return f"{name} (dry run, nothing is sent)" if self.config["dry_run"] else name

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # The SDK would begin to load in the middle of something. To end at once is safe at any point: the ledger knows
        # what was sent, and what may have been.
        os._exit(128 + signum)

    @classmethod
    @override
    def invoke(cls, *, about: bool = False, about_format: str | None = None, **options: Any) -> None:
        try:
            super().invoke(about=about, about_format=about_format, **options)
        except ConfigValidationError:
            raise  # the SDK lists what is wrong with the settings
        except (PushError, SingerSDKError) as error:
            sentence = " ".join(str(error.args[0] if error.args else type(error).__name__).split())
            cls.logger.error(sentence, exc_info=cls.logger.isEnabledFor(logging.DEBUG))  # noqa: TRY400
            sys.exit(1)


def _counted(counts: dict[str, int]) -> str:
    told = [f"{name.replace('_', ' ')} {counts[name]:,}" for name in findings.COUNTED if counts.get(name)]
    return ", ".join(told) or "nothing to do"
