"""The CDK app: the settings of a stage become its stacks."""

import os
import sys

from aws_cdk import App

from cruddur_infra import stacks
from cruddur_infra.settings import SettingsError, read
from cruddur_messages.seed.file import SeedFileError

# Where a construct was made differs from machine to machine; what is synthesized must not.
app = App(post_cli_context={"aws:cdk:disable-creation-stack-traces": True})
try:
    settings = read(app.node.get_all_context())
    stacks.build(app, settings=settings, env=stacks.environment(settings, os.environ))
except (SettingsError, SeedFileError) as error:
    sys.exit(f"error: {error}")
app.synth()
