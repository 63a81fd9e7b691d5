"""Types of AWS clients, for annotations only: their packages are not deployed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient

__all__ = [
    "DynamoDBClient",
    "EventBridgeClient",
    "KMSClient",
    "LambdaClient",
    "PutEventsRequestEntryTypeDef",
    "SESV2Client",
    "SQSClient",
    "SecretsManagerClient",
]
