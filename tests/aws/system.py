"""One deployment in the account: the CDK CLI, bin/ddb, and what the stacks have created."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cruddur_cli import table_definition
from cruddur_cli.smoke import runs
from cruddur_cli.smoke.report import Report
from cruddur_cli.smoke.talk import Place
from cruddur_local.deployment import telling_line
from cruddur_local.paths import CDK_CLI
from tests.aws.account import TAG, Account

QUICK_TO_FAIL = {"retry_attempts": "2", "record_age_seconds": "120", "alarm_failures": "0", "canary_minutes": "5"}
"""Limits so small that failed records are in the queue, and alarms start, within minutes."""

FIRST_BATCH_SECONDS = 300.0
"""How long a new mapping may take for its first batch."""


@dataclass(frozen=True)
class System:
    """A system of this app; the fields are the settings."""

    account: Account
    name: str
    stage: str
    table_name: str

    @property
    def stack(self) -> str:
        """The main stack's name, with which most names begin."""
        return f"{self.name}-{self.stage}"

    def cdk(self, *words: str, **settings: str) -> None:
        """Run the CDK CLI on this system; the test fails with the most useful line of its output."""
        names = {"name": self.name, "stage": self.stage, "table_name": self.table_name}
        fixed = QUICK_TO_FAIL | names | {"seed": "false"}
        if not self.account.is_emulator:
            fixed |= {"account": self.account.number, "region": self.account.region, "monitoring": "full"}
        context = [f"--context={name}={value}" for name, value in (fixed | settings).items()]
        output = self.account.repository / ".local/aws-tests" / self.stack
        output.mkdir(parents=True, exist_ok=True)
        status, printed = self.account.run(str(CDK_CLI), *words, *context, f"--output={output}/cdk.out", "--ci")
        if status:
            log = output / f"{words[0]}.log"
            log.write_text(printed)
            pytest.fail(f"cdk {words[0]}: {telling_line(printed)} (all of it: {log})", pytrace=False)

    def deploy(self, **settings: str) -> None:
        """Run `cdk deploy --all`, with the tag of the run."""
        self.cdk("deploy", "--all", "--require-approval=never", f"--tags={TAG}={self.account.name}", **settings)

    def ddb(self, *words: str) -> None:
        """Run bin/ddb on the table; the test fails if the exit status is not 0."""
        place = [] if self.account.is_emulator else ["--prod"]
        status, printed = self.account.run("bin/ddb", *words, *place, "--table", self.table_name)
        assert status == 0, f"bin/ddb {' '.join(words)}: {printed}"

    @property
    def place(self) -> Place:
        """Where made-up people write."""
        return Place(self.account.client("dynamodb"), self.table_name)

    def smoke(self, messages: int, limit_seconds: float = 60.0) -> Report:
        return runs.talk(self.place, messages=messages, limit_seconds=limit_seconds)

    def require_smoke(self, messages: int) -> None:
        """The same, after the first batch; the test fails if a message is late or anything else is wrong."""
        assert self.smoke(1, FIRST_BATCH_SECONDS).problems == []
        assert self.smoke(messages).problems == []

    def stacks(self) -> list[str]:
        """The stacks of the system that exist."""
        names = (one["StackName"] for one in self.account.pages("cloudformation", "describe_stacks", "Stacks"))
        return sorted(name for name in names if name in (self.stack, f"{self.stack}-table"))

    def outputs(self) -> Mapping[str, str]:
        (stack,) = self.account.pages("cloudformation", "describe_stacks", "Stacks", StackName=self.stack)
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}

    def table(self) -> Any:
        return self.account.client("dynamodb").describe_table(TableName=self.table_name)["Table"]

    def make_table(self) -> Any:
        """Create the table by hand, as `schema-load` does, with the tag of the run; returns the client."""
        dynamodb = self.account.client("dynamodb")
        table_definition.create(dynamodb, self.table_name)
        tags = [{"Key": TAG, "Value": self.account.name}]
        dynamodb.tag_resource(ResourceArn=self.table()["TableArn"], Tags=tags)
        return dynamodb

    def mapping(self) -> Mapping[str, Any]:
        listed = self.account.client("lambda").list_event_source_mappings(FunctionName=f"{self.stack}-projection")
        (only,) = listed["EventSourceMappings"]
        return dict(only)

    def enable_mapping(self, *, enabled: bool) -> None:
        """Enable or disable the mapping, and wait until it is."""
        mapping, state = self.mapping()["UUID"], "Enabled" if enabled else "Disabled"
        self.account.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=enabled)
        self.account.within(10, f"the mapping is {state}", lambda: self.mapping()["State"] == state)

    def function(self) -> Mapping[str, Any]:
        return dict(self.account.client("lambda").get_function_configuration(FunctionName=f"{self.stack}-projection"))

    def role_policy(self, name: str = "table") -> tuple[dict[str, str], dict[str, Any]]:
        """An inline policy of the projection's role, as arguments of IAM; and its text. `projection` is for Lambda."""
        names = {"RoleName": f"{self.stack}-projection-{self.account.region}", "PolicyName": name}
        return names, self.account.client("iam").get_role_policy(**names)["PolicyDocument"]

    def require_no_drift(self) -> None:
        """Let CloudFormation compare every stack with its resources."""
        self.cdk("drift", *self.stacks(), "--fail")


def policy(*statements: Mapping[str, Any]) -> str:
    """The text of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
