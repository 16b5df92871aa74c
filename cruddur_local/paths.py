"""The paths of the local system. All files that it creates are in `.local`."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT_BIN = Path(sys.executable).parent
CDK_CLI = REPOSITORY / "node_modules" / ".bin" / "cdk"

LOCAL = REPOSITORY / ".local"
EMULATOR_STATE = LOCAL / "emulator.json"
EMULATOR_LOG = LOCAL / "emulator.log"
EMULATOR_TEMPORARY = LOCAL / "tmp"
EMULATOR_CERTIFICATE = EMULATOR_TEMPORARY / "ministack-tls" / "server.crt"
KEPT_STATE = LOCAL / "state"
KEPT_LAMBDA_STATE = KEPT_STATE / "lambda.json"
KEPT_TABLE = KEPT_STATE / "cruddur-table-name"
PASSING_STATE = LOCAL / "passing-state"
SYSTEM = LOCAL / "system.json"
LOCK = LOCAL / "lock"
CLOUD_ASSEMBLY = LOCAL / "cdk.out"
CDK_HOME = LOCAL / "cdk-home"
JSII_CACHE = ENVIRONMENT_BIN.parent / "jsii-cache"
NODE_CACHE = ENVIRONMENT_BIN.parent / "node-cache"
STACK_OUTPUTS = LOCAL / "outputs.json"
BOOTSTRAPPED = LOCAL / "bootstrapped"
REBUILDS = LOCAL / "rebuild"
AWS_TESTS = LOCAL / "aws-tests"
DYNAMODB_LOCAL = LOCAL / "dynamodb-local"
