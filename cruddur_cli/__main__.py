"""Entry of `bin/ddb`."""

import sys

from cruddur_cli.main import main

sys.exit(main(sys.argv[1:]))
