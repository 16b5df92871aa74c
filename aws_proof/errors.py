"""The errors of a run in an account, each as one line: what is wrong, with what value, and what to do."""

from botocore import exceptions as botocore_errors

from aws_proof.claims import StopError
from cruddur_cli import errors as ddb_errors

DENIED = frozenset({"AccessDenied", "UnauthorizedOperation", "AuthorizationError"})
DISABLED = frozenset({"AuthFailure", "InvalidClientTokenId", "OptInRequired", "UnrecognizedClientException"})
"""What AWS also answers in a region that the account has not enabled (General Reference, "Managing AWS Regions")."""

QUOTA = ("LimitExceeded", "QuotaExceeded", "TooMany")
TAKEN = ("EntityAlreadyExists", "AlreadyExists", "ResourceInUse", "QueueNameExists")
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})


def explained(error: BaseException) -> str | None:
    """The line for an error; None if the error is a fault of the program."""
    if isinstance(error, StopError):
        return ddb_errors.one_line(str(error))
    if isinstance(error, botocore_errors.EndpointConnectionError):
        return f"{ddb_errors.one_line(str(error))}: is this service in the region, and is the network up?"
    if isinstance(error, botocore_errors.WaiterError) and "Error" in error.last_response:
        return explained(botocore_errors.ClientError(error.last_response, error.kwargs["name"]))
    if isinstance(error, botocore_errors.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        reason = ddb_errors.one_line(str(error.response.get("Error", {}).get("Message", "")))
        if code in EXPIRED:
            return f"the session has expired ({error.operation_name}): sign in again, then run the same command"
        if any(part in code for part in QUOTA):
            return f"a quota is reached ({error.operation_name}: {reason}): ask AWS for more, or use another region"
        if any(part in code for part in TAKEN):
            return f"a name is taken ({error.operation_name}: {reason}): choose another with NAME="
        if code in DISABLED:
            return (
                f"AWS does not accept these credentials here ({error.operation_name}: {code}): run aws sts "
                "get-caller-identity to see whose they are, and see whether the region is enabled in this account"
            )
        if code.removesuffix("Exception") in DENIED:
            return f"these credentials may not do that ({error.operation_name}: {reason}): ask for the permission"
    return ddb_errors.explained(error) if isinstance(error, Exception) else None
