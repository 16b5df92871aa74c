"""The CDK app: the settings of a stage become its stacks."""

import os
import sys

from aws_cdk import App

from cruddur_infra import stacks
from cruddur_infra.settings import SettingsError, lookup_environment, read

app = App()
try:
    settings = read(app.node.get_all_context())
    stacks.build(app, settings=settings, env=lookup_environment(settings, os.environ))
except SettingsError as error:
    sys.exit(f"error: {error}")
app.synth()
