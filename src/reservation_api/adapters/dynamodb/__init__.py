"""The store, outbox and read-model ports on DynamoDB, in the document's four tables (section 1)."""
