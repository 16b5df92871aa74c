"""The SNS topic of the alarms and its subscription."""

from aws_cdk import Aws
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct


class AlarmTopic(Construct):
    """A topic that only this account's alarms publish to, over TLS only, and the subscription of an address.

    `encrypted` gives it a key, which costs a dollar a month.
    """

    def __init__(self, scope: Construct, construct_id: str, *, system: str, encrypted: bool, email: str | None) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.CfnTopic(self, "Topic", kms_master_key_id=self._key(system).ref if encrypted else None)
        sns.CfnTopicPolicy(
            self,
            "Policy",
            topics=[self.topic.ref],
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "AlarmsOfThisAccount",
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": self.topic.ref,
                        "Condition": {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                    },
                    {
                        "Sid": "OnlyOverTLS",
                        "Effect": "Deny",
                        "Principal": {"AWS": "*"},
                        "Action": "sns:Publish",
                        "Resource": self.topic.ref,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ],
            },
        )
        if email is not None:
            sns.CfnSubscription(self, "Email", topic_arn=self.topic.ref, protocol="email", endpoint=email)

    def _key(self, system: str) -> kms.CfnKey:
        # The policy of the AWS managed key of SNS does not allow CloudWatch (SNS Developer Guide, "Managing Amazon
        # SNS encryption keys and costs", "Enable compatibility between event sources ... and encrypted topics").
        return kms.CfnKey(
            self,
            "Key",
            description=f"Encrypts the alarms of {system}",
            enable_key_rotation=True,
            pending_window_in_days=7,
            key_policy={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "TheAccountDecides",
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:root"},
                        "Action": "kms:*",
                        "Resource": "*",
                    },
                    {
                        "Sid": "AlarmsAreEncrypted",
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                        "Resource": "*",
                        "Condition": {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                    },
                ],
            },
        )
