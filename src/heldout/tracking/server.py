"""`python -m heldout.tracking.server`: what has to be there before an MLflow server with logins starts.

The database has its tables, of this version of MLflow; the bucket can be read; the user of the jobs exists; and the
file of settings that MLflow's basic authentication reads is written. Everything is given by the environment, as
k8s/components/tracking does. Any number of times: what is done already stays as it is.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from heldout.errors import Disrupted, UserError, complain
from heldout.tracking.store import hide_password, prepare_environment, quiet

DATABASE, BUCKET, SETTINGS = "MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_AUTH_CONFIG_PATH"
USERNAME, PASSWORD = "HELDOUT_MLFLOW_USERNAME", "HELDOUT_MLFLOW_PASSWORD"
WAIT = "HELDOUT_SERVICE_SECONDS"
WAIT_SECONDS = 120.0
PAUSE_SECONDS = 2.0


class ServerCannotStart(UserError):
    """Something is set up wrongly."""


class ServiceAway(Disrupted):
    """A service that the server stands on does not answer."""


def main() -> int:
    """Prepares everything; returns the exit code."""
    prepare_environment(request_seconds=15)
    try:
        database = _given(DATABASE)
        _wait_for(database)
        _migrate(database)
        _check_bucket(_given(BUCKET))
        # before the user: MLflow's module for them reads this file when it is imported
        _write_settings(Path(_given(SETTINGS)), database)
        _add_user(database, _given(USERNAME), _given(PASSWORD))
    except UserError as error:
        return complain(error)
    return 0


def _given(variable: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise ServerCannotStart(f"{variable} is not set; expected as k8s/components/tracking/mlflow.yaml sets it.")


def _seconds() -> float:
    """How long a service is waited for."""
    given = os.environ.get(WAIT)
    try:
        return float(given) if given else WAIT_SECONDS
    except ValueError:
        raise ServerCannotStart(f"{WAIT}={given}: expected a number of seconds.") from None


def _wait_for(database: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(database, connect_args={"connect_timeout": 5})
    shown, seconds = hide_password(database), _seconds()
    end = time.monotonic() + seconds
    while True:
        try:
            with engine.connect():
                return
        except sqlalchemy.exc.OperationalError as error:
            said = str(error.orig).strip()
            if "authentication failed" in said or "does not exist" in said:
                raise ServerCannotStart(
                    f"PostgreSQL does not let us in at {shown}: {said}. Expected user, password and database of Secret "
                    "heldout-postgres to be those it was made with."
                ) from error
            if time.monotonic() > end:
                raise ServiceAway(
                    f"PostgreSQL at {shown} did not answer for {seconds:.0f} seconds: {said}. See whether its pod "
                    "runs (kubectl get pods), and `host` in Secret heldout-postgres."
                ) from error
        finally:
            engine.dispose()
        time.sleep(PAUSE_SECONDS)


def _migrate(database: str) -> None:
    """MLflow's own tables: made by its store where there are none, else brought to the schema of this version."""
    import sqlalchemy
    from mlflow.store.db.utils import _upgrade_db
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine = sqlalchemy.create_engine(database)
    with quiet():
        if sqlalchemy.inspect(engine).has_table("experiments"):
            _upgrade_db(engine)  # type: ignore[no-untyped-call]
        else:
            SqlAlchemyStore(database, "mlflow-artifacts:/").engine.dispose()  # type: ignore[no-untyped-call]
    engine.dispose()


def _check_bucket(address: str) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = urlsplit(address).netloc
    service = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "AWS"
    client = boto3.client("s3", config=Config(connect_timeout=5, retries={"total_max_attempts": 1}))
    seconds = _seconds()
    end = time.monotonic() + seconds
    while True:
        try:
            client.head_bucket(Bucket=bucket)
            return
        except ClientError as error:
            code = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code == 404:
                raise ServerCannotStart(
                    f"{BUCKET}={address}: the S3 service at {service} has no bucket '{bucket}'. Make it "
                    f"(aws s3 mb s3://{bucket}), or name another."
                ) from error
            raise ServerCannotStart(
                f"{BUCKET}={address}: the S3 service at {service} does not let us in ({code}). Expected keys in Secret "
                "heldout-s3 that may read and write the bucket."
            ) from error
        except BotoCoreError as error:
            if time.monotonic() > end:
                raise ServiceAway(
                    f"the S3 service at {service} did not answer for {seconds:.0f} seconds: {error}."
                ) from error
        time.sleep(PAUSE_SECONDS)


def _add_user(database: str, username: str, password: str) -> None:
    """The user of the jobs, who may do everything with experiments and models and nothing with users."""
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore()
    with quiet():
        store.init_db(database)  # type: ignore[no-untyped-call]
    if store.has_user(username):
        store.update_user(username, password=password)
    else:
        store.create_user(username, password, is_admin=False)


def _write_settings(path: Path, database: str) -> None:
    # the reader takes % for the begin of a reference
    lines = [
        "[mlflow]",
        "default_permission = EDIT",
        f"database_uri = {database.replace('%', '%%')}",
        # a password is hashed once a minute, not at each request
        "auth_cache_ttl_seconds = 60",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
