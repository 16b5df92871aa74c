"""What is deployed: constructs that model, stacks that compose them, and the settings of each stage."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LAMBDA_CODE = REPOSITORY / "lambda"

# `lambda` cannot be a package name, so its folder is a root of its own.
if str(LAMBDA_CODE) not in sys.path:
    sys.path.append(str(LAMBDA_CODE))
