"""The errors for people, each as one line: what is wrong, with what value, and what to do."""

from botocore import exceptions as botocore_errors

from cruddur_messages.audit.export import ExportError
from cruddur_messages.dynamodb import error_code
from cruddur_messages.person import StillChangingError
from cruddur_messages.seed.file import SeedFileError
from cruddur_messages.seed.load import SeedError
from cruddur_messages.store.errors import ContendedError, RejectedError

NO_CREDENTIALS = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.TokenRetrievalError,
    botocore_errors.SSOError,
)
WRONG_CONFIGURATION = (
    botocore_errors.ConfigNotFound,
    botocore_errors.ConfigParseError,
    botocore_errors.InfiniteLoopConfigError,
    botocore_errors.InvalidConfigError,
    botocore_errors.MetadataRetrievalError,
    botocore_errors.ProfileNotFound,
    botocore_errors.UnknownCredentialError,
)
NO_CONNECTION = (botocore_errors.ConnectionError, botocore_errors.HTTPClientError)

REFUSED_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class DdbError(Exception):
    """The text is one line that says what is wrong, with what value, and what to do."""


class WrongUseError(Exception):
    """The arguments of a command do not fit together; the text is one line that says what is expected."""


OWN = (DdbError, ExportError, RejectedError, ContendedError, StillChangingError, SeedError, SeedFileError)
"""The errors whose text is such a line."""


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def explained(error: Exception) -> str | None:
    """The line for an error; None if the error is a fault of the program."""
    if isinstance(error, SeedError) and isinstance(error.__cause__, Exception):
        return explained(error.__cause__)
    if isinstance(error, OWN):
        return one_line(str(error))
    if isinstance(error, botocore_errors.ClientError):
        return _refused(error)
    if isinstance(error, NO_CREDENTIALS):
        return f"no AWS credentials found ({one_line(str(error))}): run aws configure, or aws sso login"
    if isinstance(error, WRONG_CONFIGURATION):
        return f"the AWS configuration is of no use ({one_line(str(error))}): correct it, or set AWS_PROFILE to another"
    if isinstance(error, botocore_errors.NoRegionError):
        return "no AWS region is set: set AWS_REGION, or run aws configure"
    if isinstance(error, botocore_errors.SSLError):
        return f"{one_line(str(error))}: for the system of make up, name its certificate in AWS_CA_BUNDLE"
    if isinstance(error, NO_CONNECTION):
        return f"{one_line(str(error))}: is it running, and are endpoint and region right?"
    if isinstance(error, (botocore_errors.BotoCoreError, OSError)):
        return one_line(str(error))
    return None


def _refused(error: botocore_errors.ClientError) -> str:
    code = error_code(error)
    reason = one_line(error.response.get("Error", {}).get("Message", ""))
    if code == "ResourceNotFoundException":
        return f"there is no such table here ({reason}): create it with bin/ddb schema-load, or check table and region"
    if code == "ResourceInUseException":
        return f"the table already exists, or is busy ({reason}): see bin/ddb describe"
    if code in {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}:
        return f"there is no such queue ({reason}): --queue takes the output FailureQueueUrl of the main stack"
    if code in REFUSED_CREDENTIALS:
        return f"AWS does not accept these credentials ({code}): run aws sts get-caller-identity to see whose they are"
    if code in {"AccessDenied", "AccessDeniedException"}:
        return f"these credentials may not do that ({reason}): ask for the permission"
    return f"{error.operation_name} was refused: {code}: {reason}"
