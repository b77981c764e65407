output "topic_arn" {
  description = "Where alarms go; for alarms of others too, if their names begin with {env}-reservation-."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_names" {
  description = "The alarms that tell somebody."
  value       = sort(keys(local.alarm_arns))
}

output "log_groups" {
  description = "Name and ARN by `service`, `metrics`, and function name."
  value       = { for key, group in aws_cloudwatch_log_group.this : key => { name = group.name, arn = group.arn } }
}

output "collector_config" {
  description = "The collector's configuration, no secret: AOT_CONFIG_CONTENT of ADOT, or --config=env:NAME of contrib."
  value       = local.collector_config
}

output "collector_policy" {
  description = "What a collector with a role of its own needs; beside the service it has the service's role, which may do this already."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WriteMetrics"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws:logs:${local.region}:${local.account}:log-group:${local.metrics_log_group_name}:*"
    }]
  })
}

output "dashboard_name" {
  description = "The dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
