# The alarms over everything that they can watch, by the other modules' names.
module "cloudwatch" {
  source = "../.."

  env               = "demo"
  dead_letter_queue = { name = "demo-reservation-events-dlq" }
  events_queue      = { name = "demo-reservation-events-queue" }
  load_balancer     = { arn_suffix = "app/demo/50dc6c495c0c9188" }
  subscriptions     = { oncall = { protocol = "sqs", endpoint = "arn:aws:sqs:ap-northeast-2:123456789012:oncall" } }

  tables = {
    idempotency  = { name = "demo-reservation-idempotency", indexes = [] }
    orders       = { name = "demo-reservation-orders", indexes = ["event-created-index", "user-created-index"] }
    outbox       = { name = "demo-reservation-outbox", indexes = ["status-created_at-index"] }
    reservations = { name = "demo-reservation-reservations", indexes = ["status-created-index", "user-status-index"] }
  }

  rules = {
    created        = { name = "demo-reservation-created", event_bus_name = "demo-reservation-events" }
    status_changed = { name = "demo-reservation-status-changed", event_bus_name = "demo-reservation-events" }
    expiry         = { name = "demo-reservation-expiry-scheduler" }
  }
}

output "alarm_names" {
  value = module.cloudwatch.alarm_names
}

output "topic_arn" {
  value = module.cloudwatch.topic_arn
}

output "metric_declarations" {
  value = yamldecode(module.cloudwatch.collector_config).exporters.awsemf.metric_declarations
}
