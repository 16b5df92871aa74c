"""The CDK app: reads the settings of a stage and builds its stacks."""

import os
import sys

from aws_cdk import App

from cruddur_infra import stacks, stages
from cruddur_infra.settings import SettingsError
from cruddur_messages.seed.file import SeedFileError

# Stack traces contain paths of the machine; the templates must be the same on every machine.
app = App(post_cli_context={"aws:cdk:disable-creation-stack-traces": True})
try:
    settings = stages.read(app.node.get_all_context())
    stacks.build(app, settings=settings, env=stacks.environment(settings, os.environ))
except (SettingsError, SeedFileError) as error:
    sys.exit(f"error: {error}")
app.synth()
