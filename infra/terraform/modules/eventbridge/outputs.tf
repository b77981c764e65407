output "bus" {
  description = "The bus."
  value       = { name = aws_cloudwatch_event_bus.this.name, arn = aws_cloudwatch_event_bus.this.arn }
}

output "rules" {
  description = "Name and bus by rule, as the cloudwatch module takes them; no bus is the default one."
  value = merge(
    { for key, rule in local.bus_rules : key => { name = rule.name, event_bus_name = local.bus_name } },
    { expiry = { name = local.expiry_rule_name, event_bus_name = null } },
  )
}

output "rule_arns" {
  description = "ARNs by rule: created, status_changed, expiry, and forward if there is one."
  value       = local.rule_arns
}

output "dead_letter_queue" {
  description = "The queue of events that reached no target."
  value       = { name = aws_sqs_queue.dlq.name, arn = aws_sqs_queue.dlq.arn, url = aws_sqs_queue.dlq.url }
}

output "events_queue" {
  description = "The queue for consumers other than Lambda, or null."
  value       = one([for queue in aws_sqs_queue.events : { name = queue.name, arn = queue.arn, url = queue.url }])
}

output "forwarding_role_arn" {
  description = "For `publisher_role_arns` of the bus that is forwarded to; null without one."
  value       = one([for role in aws_iam_role.forward : role.arn])
}

output "service_environment" {
  description = "What the service reads of the bus (document section 5)."
  value       = { AWS_EVENTBRIDGE_BUS_NAME = aws_cloudwatch_event_bus.this.name }
}
