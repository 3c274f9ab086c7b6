"""The report itself: JSON, compressed (RFC 8460 sections 4.4 and 5.1).

Takes the results of one domain and day, each with its number; gives octets. Counts and addresses
of servers, nothing of any message.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from mailfront.outgoing.transport_policy import ResultType, TlsResult

JsonValue = str | int | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True)
class ReportingOrganization:
    """Who reports: a name for people, whom to ask, and the domain that submits."""

    name: str
    contact: str
    submitter: str


@dataclass(slots=True)
class _PolicyResults:
    successes: int = 0
    failures: list[tuple[TlsResult, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """The report to `domain` of one day (UTC)."""

    organization: ReportingOrganization
    domain: str
    day: date

    @property
    def begin(self) -> datetime:
        """The first second of the day."""
        return datetime.combine(self.day, time(), UTC)

    @property
    def end(self) -> datetime:
        """The last second of the day."""
        return self.begin + timedelta(days=1, seconds=-1)

    @property
    def identifier(self) -> str:
        """The same at each attempt, so that who gets it twice can tell."""
        return f"{self.day.isoformat()}.{self.domain}@{self.organization.submitter}"

    @property
    def file_name(self) -> str:
        """The name that RFC 8460 section 5.1 gives it."""
        return "!".join(
            (
                self.organization.submitter,
                self.domain,
                str(int(self.begin.timestamp())),
                f"{int(self.end.timestamp())}.json.gz",
            )
        )

    def compressed(self, results: Iterable[tuple[TlsResult, int]]) -> bytes:
        """Return the document with these results and their numbers, by gzip."""
        text = json.dumps(self.document(results), ensure_ascii=True)
        return gzip.compress(text.encode(), mtime=0)

    def document(self, results: Iterable[tuple[TlsResult, int]]) -> dict[str, JsonValue]:
        """Return the document with these results and their numbers."""
        groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], _PolicyResults] = {}
        for result, number in results:
            key = (result.policy_type.value, result.policy_strings, result.exchangers)
            group = groups.setdefault(key, _PolicyResults())
            if result.result is ResultType.SUCCESS:
                group.successes += number
            else:
                group.failures.append((result, number))
        return {
            "organization-name": self.organization.name,
            "date-range": {
                "start-datetime": f"{self.begin:%Y-%m-%dT%H:%M:%SZ}",
                "end-datetime": f"{self.end:%Y-%m-%dT%H:%M:%SZ}",
            },
            "contact-info": self.organization.contact,
            "report-id": self.identifier,
            "policies": [
                self._policy(kind, strings, exchangers, group)
                for (kind, strings, exchangers), group in groups.items()
            ],
        }

    def _policy(
        self, kind: str, strings: tuple[str, ...], exchangers: tuple[str, ...],
        group: _PolicyResults,
    ) -> JsonValue:  # fmt: skip
        policy: dict[str, JsonValue] = {"policy-type": kind, "policy-domain": self.domain}
        if strings:
            policy["policy-string"] = list(strings)
        if exchangers:
            policy["mx-host"] = list(exchangers)
        described: dict[str, JsonValue] = {
            "policy": policy,
            "summary": {
                "total-successful-session-count": group.successes,
                "total-failure-session-count": sum(number for _, number in group.failures),
            },
        }
        if group.failures:
            described["failure-details"] = [_failure(*each) for each in group.failures]
        return described


def _failure(result: TlsResult, number: int) -> JsonValue:
    known = {
        "sending-mta-ip": result.sending_address,
        "receiving-mx-hostname": result.receiving_host,
        "receiving-mx-helo": result.receiving_hello,
        "receiving-ip": result.receiving_address,
        "additional-information": result.detail,
    }
    details: dict[str, JsonValue] = {
        "result-type": result.result.value,
        "failed-session-count": number,
    }
    return details | {name: text for name, text in known.items() if text}
