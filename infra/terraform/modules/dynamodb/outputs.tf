output "table_names" {
  description = "Names by table: reservations, orders, idempotency, outbox."
  value       = { for table, it in aws_dynamodb_table.this : table => it.name }
}

output "table_arns" {
  description = "ARNs by table."
  value       = { for table, it in aws_dynamodb_table.this : table => it.arn }
}

output "tables" {
  description = "Name and indexes by table, as the cloudwatch module takes them."
  value       = { for table, it in local.tables : table => { name = local.names[table], indexes = keys(it.indexes) } }
}

output "service_environment" {
  description = "What the service reads of these tables (document section 5)."
  value       = { for table, it in aws_dynamodb_table.this : "APP_DYNAMODB_TABLES_${upper(table)}" => it.name }
}

output "planned_units" {
  description = "Read and write units a second at the planned peak, by table and index."
  value       = local.planned
}

output "status_shards" {
  description = "APP_STATUS_SHARDS for the planned peak: no key of an index takes more than four fifths of what a partition does."
  value       = local.status_shards

  precondition {
    condition     = local.status_shards <= 100
    error_message = "The planned peak needs ${local.status_shards} shards; APP_STATUS_SHARDS goes to 100."
  }
}
