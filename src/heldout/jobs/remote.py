"""The DVC remote of a pipeline that runs in a pod: whether it is there, before anything is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from heldout.errors import Disrupted
from heldout.jobs.errors import JobError

# names the remote, such as s3://bucket/folder; empty where there is none
REMOTE_VARIABLE = "HELDOUT_DVC_REMOTE"
LOGIN = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
NOT_FOUND, REFUSALS = 404, (400, 401, 403)


class RemoteAway(Disrupted):
    """The service of the remote does not answer."""


def check_remote(address: str) -> None:
    """Asks an S3 service for the bucket; DVC would take one that is missing for one that is empty.

    Raises:
        JobError: the bucket is missing, or not ours.
        RemoteAway: nothing answers.
    """
    parts = urlsplit(address)
    if parts.scheme != "s3":
        return
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    client = boto3.client("s3", config=Config(connect_timeout=10, read_timeout=10, retries={"max_attempts": 2}))
    where = f"the DVC remote {address} ({client.meta.endpoint_url})"
    try:
        client.head_bucket(Bucket=parts.netloc)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == NOT_FOUND:
            raise JobError(
                f"{where}: there is no bucket '{parts.netloc}'. Make it, or name another in {REMOTE_VARIABLE}."
            ) from error
        if status in REFUSALS:
            raise JobError(
                f"{where} does not let us in ({status}). Correct {LOGIN}, or the rights they have."
            ) from error
        raise RemoteAway(f"{where} answers with {status}; the same command may go on later.") from error
    except NoCredentialsError as error:
        raise JobError(f"{where} needs {LOGIN}; neither is set.") from error
    except BotoCoreError as error:
        raise RemoteAway(f"{where} does not answer ({error}). Start it, or correct AWS_ENDPOINT_URL_S3.") from error
