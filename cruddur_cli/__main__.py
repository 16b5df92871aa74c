"""Entry of `bin/ddb`."""

import sys

try:
    from cruddur_cli.main import main

    status = main(sys.argv[1:])
except KeyboardInterrupt:
    # Ctrl-C during the imports.
    sys.stderr.write("ddb: stopped\n")
    status = 130
sys.exit(status)
