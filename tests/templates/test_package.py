"""The package has what the entry needs: it can be imported from the zip file's contents alone."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cruddur_infra import LAMBDA_CODE, REPOSITORY
from cruddur_infra.constructs import package

pytestmark = pytest.mark.check

ENTRIES = ("projection.handler", "seed.handler", "canary.handler")
VARIABLES = {"TABLE_NAME": "any", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_entry_can_be_imported_from_the_package(entry: str) -> None:
    folder = package.folder_of(package.modules(entry))
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); from cruddur_messages.{entry} import handler"
    subprocess.run([sys.executable, "-I", "-c", program], env=VARIABLES, cwd="/", check=True)


@pytest.mark.parametrize("umask", [pytest.param(0o027, marks=pytest.mark.proof), 0o077])
def test_lambda_can_read_every_file_whatever_the_deployers_umask_is(umask: int, tmp_path: Path) -> None:
    variables = os.environ | {"CDK_OUTDIR": str(tmp_path / "out"), "CDK_CONTEXT_JSON": "{}"}
    subprocess.run([sys.executable, "app.py"], env=variables, cwd=REPOSITORY, umask=umask, check=True)
    staged = [path for asset in (tmp_path / "out").glob("asset.*") for path in asset.rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in staged} == {"0o644"}
    before = os.umask(umask)
    try:
        folder = package.folder_of(package.modules("projection.handler"))
    finally:
        os.umask(before)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o755"}


def test_the_projections_package_has_no_module_of_the_seed_or_the_store() -> None:
    files = package.modules("projection.handler")
    assert not [name for name in files if "seed" in name or "store" in name]
    assert set(files.values()) <= set(LAMBDA_CODE.rglob("*.py"))


def test_lambda_code_imports_only_boto3_botocore_and_the_standard_library() -> None:
    everywhere = sys.stdlib_module_names | {"boto3", "botocore", "cruddur_messages"}
    more = {"cruddur_messages/audit/spark.py": {"pyspark"}}
    assert all((LAMBDA_CODE / name).is_file() for name in more)

    for file in sorted(LAMBDA_CODE.rglob("*.py")):
        allowed = everywhere | more.get(str(file.relative_to(LAMBDA_CODE)), set())
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import(names=names):
                    imported = [name.name for name in names]
                case ast.ImportFrom(module=str(module), level=0):
                    imported = [module]
                case _:
                    continue
            outside = [name for name in imported if name.split(".")[0] not in allowed]
            assert [name for name in outside if not name.startswith("mypy_boto3")] == [], Path(file).name
