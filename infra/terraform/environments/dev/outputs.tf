output "load_balancer" {
  description = "Where the API's name has to lead: an alias record to dns_name, in zone_id."
  value       = { dns_name = module.service.load_balancer.dns_name, zone_id = module.service.load_balancer.zone_id }
}

output "cluster" {
  description = "The cluster and its services."
  value       = module.service.cluster
}

output "api_min_count" {
  description = "How many tasks of the API run always."
  value       = module.service.api_min_count
}

output "environment" {
  description = "What the service is told: for commands such as `reservation-api backup create`, from an operator's machine."
  value       = module.service.environment
}

output "jwks_secret" {
  description = "Where the issuer's keys are put."
  value       = module.secrets.jwks.name
}

output "alarm_topic_arn" {
  description = "Where alarms go."
  value       = module.cloudwatch.topic_arn
}

output "dead_letter_queue_url" {
  description = "Events that reached no target."
  value       = module.eventbridge.dead_letter_queue.url
}

output "nat_addresses" {
  description = "What others see, for their allow lists."
  value       = module.network.nat_addresses
}
