"""The bucket of a stack's packages, which CloudFormation reads with the operator's rights.

Bucket names are global, and this one can be guessed: another account that created it first could
choose the code that we deploy. So each request states the expected owner.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

_CLOSED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class NotOurs(Exception):
    """The bucket is another account's, or we may not use it; the message is one sentence."""


class Bucket:
    """The bucket of the stack ``name`` in a boto3 session's account and region; made if missing.

    Every method raises botocore's errors: AccessDenied if the bucket now has another owner.
    """

    def __init__(self, session: Any, name: str, endpoint: str | None = None) -> None:
        """Raises `NotOurs`."""
        self._s3 = session.client("s3", endpoint_url=endpoint)
        account = session.client("sts", endpoint_url=endpoint).get_caller_identity()["Account"]
        self._ours = {"ExpectedBucketOwner": account}
        # S3 allows 63 characters; a stage's name has at most 20, a region's 14.
        self.name = f"{name}-code-{account}-{session.region_name}"
        self._make_sure(str(session.region_name))

    def _make_sure(self, region: str) -> None:
        try:
            self._s3.head_bucket(Bucket=self.name, **self._ours)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("403", "AccessDenied"):
                raise NotOurs(
                    f"The bucket {self.name} is another account's, or you have no right to it:"
                    " nothing was uploaded."
                ) from None
            if code not in ("404", "NoSuchBucket"):
                raise
            self._make(region)

    def _make(self, region: str) -> None:
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self._s3.create_bucket(Bucket=self.name, **({} if region == "us-east-1" else elsewhere))
        self._s3.put_public_access_block(
            Bucket=self.name, PublicAccessBlockConfiguration=_CLOSED, **self._ours
        )

    def upload(self, file: Path, key: str) -> None:
        """Upload a file of any size."""
        self._s3.upload_file(str(file), self.name, key, ExtraArgs=self._ours)

    def put(self, key: str, text: str) -> str:
        """Store a text; returns its address for CloudFormation."""
        self._s3.put_object(Bucket=self.name, Key=key, Body=text.encode(), **self._ours)
        return f"{self._s3.meta.endpoint_url}/{self.name}/{key}"

    def get(self, key: str) -> str:
        """The text that `put` stored."""
        found = self._s3.get_object(Bucket=self.name, Key=key, **self._ours)
        return str(found["Body"].read().decode())

    def ages(self) -> Iterator[tuple[str, datetime]]:
        """Every key, and when it was last written."""
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, **self._ours):
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["LastModified"]

    def delete(self, key: str) -> None:
        """Succeeds even if there is no such key."""
        self._s3.delete_object(Bucket=self.name, Key=key, **self._ours)
