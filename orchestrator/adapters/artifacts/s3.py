"""Objects in a bucket of Amazon S3, or of any server that speaks as it does.

boto3 reads the address of the server and the credentials itself: `AWS_ENDPOINT_URL`, `AWS_PROFILE`,
`AWS_ACCESS_KEY_ID`, the role of the machine. Nothing of that is ever part of a message.
"""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.domain.error_codes import ARTIFACTS_SILENT
from orchestrator.domain.errors import OrchestratorError

CHUNK = 1 << 20
TIMES = 4  # how often a request is made before it counts as not answered
PATIENCE = 10.0  # seconds for a connection; a transfer may pause for three times as long
MISSING = {"NoSuchBucket"}
ABSENT = {"NoSuchKey", "404", "NotFound"}
REFUSED = {
    "AccessDenied", "403", "401", "Forbidden", "Unauthorized", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AllAccessDisabled", "AccountProblem",
    "RequestTimeTooSkewed",
}  # fmt: skip


class BucketObjects:
    """Objects in *bucket*, under keys that start with *prefix*. Raises S141 at the first use without boto3."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self.where = f"s3://{bucket}/{prefix}".rstrip("/")

    @cached_property
    def _client(self) -> Any:
        """Made when it is first used, after every fork."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise OrchestratorError("S141", "boto3 is not installed") from error
        config = Config(
            connect_timeout=PATIENCE,
            read_timeout=3 * PATIENCE,
            retries={"mode": "standard", "total_max_attempts": TIMES},
            request_checksum_calculation="when_required",  # older servers know none of the new checksums
            response_checksum_validation="when_required",
        )
        with self._translate_errors():
            return boto3.session.Session().client("s3", config=config)

    def write(self, key: str, source: Path) -> None:
        """Send the file, in parts when it is large."""
        from boto3.s3.transfer import TransferConfig

        with source.open("rb") as file, self._translate_errors():
            alone = TransferConfig(use_threads=False)
            self._client.upload_fileobj(file, self._bucket, f"{self._prefix}{key}", Config=alone)

    def read(self, key: str, target: BinaryIO) -> bool:
        """Fetch the object; one whose transfer breaks off is fetched again from its first byte."""
        for left in reversed(range(TIMES)):
            try:
                return self._read(key, target)
            except OrchestratorError as error:
                if error.code != ARTIFACTS_SILENT or not left:
                    raise
                target.seek(0)
                target.truncate()
        raise AssertionError("unreachable")

    def _read(self, key: str, target: BinaryIO) -> bool:
        with self._translate_errors():
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{key}")
            except self._client.exceptions.ClientError as error:
                if _code(error) in ABSENT:
                    return False
                raise
            with contextlib.closing(found["Body"]) as body:
                target.writelines(body.iter_chunks(CHUNK))
        return True

    def size(self, key: str) -> int | None:
        """The object's size, by its heading."""
        with self._translate_errors():
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=f"{self._prefix}{key}")
            except self._client.exceptions.ClientError as error:
                if _code(error) in ABSENT:
                    return None
                raise
        return int(found["ContentLength"])

    def remove(self, key: str) -> None:
        """Remove the object; S3 reports success if there is none."""
        with self._translate_errors():
            self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}{key}")

    def keys(self, prefix: str) -> list[str]:
        """The keys that start with *prefix*, a thousand a request."""
        with self._translate_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}"
            )
            found = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return [key.removeprefix(self._prefix) for key in found]

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate the library's errors into ours. Of an error only the kind is shown: its text may hold a secret."""
        from botocore import exceptions as library

        unknown = (
            library.NoCredentialsError,
            library.PartialCredentialsError,
            library.CredentialRetrievalError,
            library.ProfileNotFound,
            library.SSOError,
            library.TokenRetrievalError,
        )
        try:
            yield
        except library.ClientError as error:
            raise self._refusal(_code(error)) from None
        except unknown as error:
            raise OrchestratorError("S144", f"cannot access {self.where}: {type(error).__name__}") from None
        except library.BotoCoreError as error:
            raise OrchestratorError("S142", f"{self.where} does not answer: {type(error).__name__}") from None
        except ValueError:
            raise OrchestratorError("S142", f"AWS_ENDPOINT_URL is not valid: cannot reach {self.where}") from None

    def _refusal(self, code: str) -> OrchestratorError:
        if code in MISSING:
            return OrchestratorError("S143", f"there is no bucket {self._bucket}")
        if code in REFUSED:
            return OrchestratorError("S144", f"{self.where} refuses: {code}")
        return OrchestratorError("S142", f"{self.where} refused the request: {code}")


def _code(error: Any) -> str:
    """The server's code of the error: a word, or the status of its answer."""
    return str(error.response.get("Error", {}).get("Code") or "no reason given")[:100]
