output "execution_role_arn" {
  description = "What ECS is while it starts tasks: the secrets module lets it read."
  value       = aws_iam_role.execution.arn
}

output "environment" {
  description = "The variables of every process of the service, for the functions module. Without the collector that only tasks have beside them."
  value       = { for name, value in merge(local.common_environment, local.document_environment) : name => value if !(name == "OTLP_ENDPOINT" && value == local.otlp_beside) }
}

output "load_balancer" {
  description = "The balancer: its name for DNS (an alias record in zone_id), and its suffix for the cloudwatch module."
  value = {
    arn        = aws_lb.api.arn
    arn_suffix = aws_lb.api.arn_suffix
    dns_name   = aws_lb.api.dns_name
    zone_id    = aws_lb.api.zone_id
  }
}

output "cluster" {
  description = "The cluster, and its services by api and worker."
  value = {
    name     = aws_ecs_cluster.this.name
    arn      = aws_ecs_cluster.this.arn
    services = { api = local.api_service.name, worker = aws_ecs_service.worker.name }
  }
}

output "task_definition_arns" {
  description = "By api and worker; CodeDeploy deploys the former."
  value       = { for role, task in aws_ecs_task_definition.this : role => task.arn }
}

output "api_min_count" {
  description = "How many tasks of the API run always."
  value       = local.api_min_count
}

output "blue_green" {
  description = "What a deployment group of CodeDeploy wants to know; null with rolling deployments."
  value = one([for listener in aws_lb_listener.https_blue_green : {
    cluster_name  = aws_ecs_cluster.this.name
    service_name  = local.api.name
    listener_arn  = listener.arn
    target_groups = sort([for group in aws_lb_target_group.api : group.name])
  }])
}
