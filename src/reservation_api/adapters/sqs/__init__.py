"""Messages of an SQS queue."""
