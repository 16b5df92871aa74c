"""The repair of a whole table: scan it, repair every conversation with a finding, and check these again."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.progress import ShowProgress, no_progress
from cruddur_cli.maintenance.repair import Repair, Repairer, Suspect
from cruddur_cli.maintenance.scan import in_parallel
from cruddur_cli.maintenance.verify import confirm_all, read_table
from cruddur_messages.audit.checks import Finding, Problem, check_table
from cruddur_messages.audit.snapshot import Contents, TableSnapshot
from cruddur_messages.items import UUID, User

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Outcome:
    """The result of a rebuild: the table as read, if it was, what is still broken, what was or would be done."""

    contents: Contents | None
    findings: list[Finding]
    repairs: list[Repair]

    @property
    def done(self) -> dict[str, int]:
        """The number of repairs of each kind."""
        return dict(sum((repair.done for repair in self.repairs), Counter[str]()))

    @property
    def failures(self) -> list[Repair]:
        """The conversations whose last repair did not succeed."""
        last = {repair.message_group_uuid: repair for repair in self.repairs}
        return [repair for repair in last.values() if repair.failure]


class Rebuild:
    """Repairs one table; `named` looks up a user by id, for rows that have to be created again.

    With `found`, the findings of an earlier check, the conversations that these name are repaired and no others: they
    are read again first, and the table is not scanned.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        named: Callable[[str], User | None],
        found: Collection[Finding] | None = None,
        expected_items: int | None = None,
        show_progress: ShowProgress = no_progress,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._found = found
        self._expected_items = expected_items
        self._show_progress = show_progress
        self._sleep = sleep
        self._repairer = Repairer(client=client, table_name=table_name, named=named, sleep=sleep)
        self._reader = self._repairer.reader

    def preview(self) -> Outcome:
        """What `run` would do, without any write."""
        findings, snapshot = self._find()
        findings = self._confirm(findings)
        repairs = self._each("preview", suspects_of(snapshot, findings), self._repairer.preview)
        return Outcome(snapshot.contents if snapshot else None, findings, repairs)

    def run(self, checkpoint: Checkpoint) -> Outcome:
        """Repair what remains of an interrupted run, then what a scan finds. The findings are what is still broken.

        Raises DdbError if the checkpoint cannot be read or written.
        """

        def repair(suspect: Suspect) -> Repair:
            made = self._repairer.repair(suspect)
            if made.failure is None:
                checkpoint.done(suspect)
            return made

        repairs = self._each("repair", checkpoint.remaining(), repair)
        findings, snapshot = self._find()
        suspects = suspects_of(snapshot, findings)
        if suspects:
            checkpoint.begin(suspects)
            self._reader.forget_inboxes()
            repairs += self._each("repair", suspects, repair)
            self._reader.forget_inboxes()
        checkpoint.remove()
        return Outcome(snapshot.contents if snapshot else None, self._confirm(findings), repairs)

    def _find(self) -> tuple[list[Finding], TableSnapshot | None]:
        if self._found is not None:
            return self._confirm(self._found), None
        snapshot = read_table(
            self._client, self._table_name, expected_items=self._expected_items, show_progress=self._show_progress
        )
        return list(check_table(snapshot)), snapshot

    def _confirm(self, findings: Collection[Finding]) -> list[Finding]:
        return confirm_all(self._reader, findings, self._show_progress, self._sleep)

    def _each(self, what: str, suspects: Sequence[Suspect], work: Callable[[Suspect], Repair]) -> list[Repair]:
        """Work on conversations in parallel. An error or an interrupt stops it after those in progress."""
        if not suspects:
            return []
        with self._show_progress(what, len(suspects)) as progress:

            def work_on(suspect: Suspect, _stopped: Event) -> Repair:
                made = work(suspect)
                progress.advance(1)
                return made

            return in_parallel(work_on, suspects, threads=SIDE_BY_SIDE)


def suspects_of(snapshot: TableSnapshot | None, findings: Collection[Finding]) -> list[Suspect]:
    """The conversations of the findings, ordered so that those with rows in the same inbox are neighbours.

    Without a snapshot, only the members that the findings name are known before a conversation is read.
    """
    by_group: dict[str, list[Finding]] = {}
    for finding in findings:
        if UUID.fullmatch(finding.message_group_uuid):
            by_group.setdefault(finding.message_group_uuid, []).append(finding)
    suspects: list[Suspect] = []
    for group, found in by_group.items():
        seen = snapshot.conversations.get(group) if snapshot else None
        members = seen.members if seen else {finding.member_uuid for finding in found} - {""}
        rekey = any(finding.problem is Problem.MIXED_TIMESTAMPS and not finding.member_uuid for finding in found)
        suspects.append(Suspect(group, tuple(sorted(members)), rekey, seen.newest[0] if seen else None))
    return sorted(suspects, key=lambda suspect: (suspect.known_members, suspect.message_group_uuid))
