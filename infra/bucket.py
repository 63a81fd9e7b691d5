"""The bucket of a stack's packages, which CloudFormation reads with the operator's rights.

Names of buckets are the world's and this one can be guessed: whoever made it first would choose the
code that is deployed. So each request says whose it must be.
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
    """The bucket is another account's; the message is one sentence."""


class Bucket:
    """The stack ``name``'s, in the account and region of a boto3 session; made where there is none.

    Everything raises what botocore raises, AccessDenied where the bucket changed hands.
    """

    def __init__(self, session: Any, name: str, endpoint: str | None = None) -> None:
        """Raises `NotOurs`."""
        self._s3 = session.client("s3", endpoint_url=endpoint)
        account = session.client("sts", endpoint_url=endpoint).get_caller_identity()["Account"]
        self._ours = {"ExpectedBucketOwner": account}
        # 63 characters at most: 20 of the stage's name, 14 of the region's.
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
        """A file, of any size."""
        self._s3.upload_file(str(file), self.name, key, ExtraArgs=self._ours)

    def put(self, key: str, text: str) -> str:
        """A text; the address at which CloudFormation finds it."""
        self._s3.put_object(Bucket=self.name, Key=key, Body=text.encode(), **self._ours)
        return f"{self._s3.meta.endpoint_url}/{self.name}/{key}"

    def get(self, key: str) -> str:
        """A text that was put."""
        found = self._s3.get_object(Bucket=self.name, Key=key, **self._ours)
        return str(found["Body"].read().decode())

    def ages(self) -> Iterator[tuple[str, datetime]]:
        """Every key, and since when it is there."""
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, **self._ours):
            for kept in page.get("Contents", ()):
                yield kept["Key"], kept["LastModified"]

    def delete(self, key: str) -> None:
        """Whether or not it is there."""
        self._s3.delete_object(Bucket=self.name, Key=key, **self._ours)
