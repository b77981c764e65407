"""On-demand backups of DynamoDB tables."""

from typing import Any

from reservation_api.adapters.aws_operations.client import told
from reservation_api.ports.operations import BackupState, OperationFailedError, TableSize


class DynamoDbBackups:
    """Implements ports.operations.Backups over botocore's client of DynamoDB."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb

    def size(self, table: str) -> TableSize:
        """Return how large a table is."""
        with told(f"DescribeTable {table}"):
            found = self._dynamodb.describe_table(TableName=table)["Table"]
        return TableSize(int(found.get("ItemCount", 0)), int(found.get("TableSizeBytes", 0)))

    def create(self, table: str, name: str) -> str:
        """Begin a backup; return its ARN."""
        with told(f"CreateBackup {table}"):
            found = self._dynamodb.create_backup(TableName=table, BackupName=name)
        return str(found["BackupDetails"]["BackupArn"])

    def state(self, arn: str) -> BackupState:
        """Return how a backup stands."""
        with told(f"DescribeBackup {arn}"):
            found = self._dynamodb.describe_backup(BackupArn=arn)
        text = found["BackupDescription"]["BackupDetails"]["BackupStatus"]
        try:
            return BackupState(text)
        except ValueError as error:
            raise OperationFailedError(f"DescribeBackup: a state that is not known: {text}") from error
