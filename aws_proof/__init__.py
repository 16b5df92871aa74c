"""`make prove-on-aws`: what only AWS can show, as claims that are tested in an account (docs/aws-proof.md)."""

import cruddur_infra  # noqa: F401  # makes lambda/ importable
