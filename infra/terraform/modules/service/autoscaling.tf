locals {
  api_service = one(concat(values(aws_ecs_service.api), values(aws_ecs_service.api_blue_green)))

  scaling = merge(
    { cpu = { metric = "ECSServiceAverageCPUUtilization", label = null, target = var.api.cpu_percent } },
    # Requests rise before CPU does. The metric is one target group's: with blue and green it would be the wrong one after
    # each deployment.
    { for metric in local.rolling : "requests" => {
      metric = "ALBRequestCountPerTarget"
      label  = "${aws_lb.api.arn_suffix}/${aws_lb_target_group.api["blue"].arn_suffix}"
      target = 60 * var.api.requests_per_second_per_vcpu * var.api.cpu / 1024 # it counts by the minute
    } },
  )
}

resource "aws_appautoscaling_target" "api" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${local.api_service.name}"
  min_capacity       = local.api_min_count
  max_capacity       = var.api.max_count
  tags               = var.tags

  lifecycle {
    precondition {
      condition     = var.api.max_count >= local.api_min_count
      error_message = "The planned peak takes ${local.api_min_count} tasks; api.max_count allows ${var.api.max_count}."
    }
  }
}

resource "aws_appautoscaling_policy" "api" {
  for_each = local.scaling

  name               = "${local.prefix}-api-${each.key}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.api.service_namespace
  scalable_dimension = aws_appautoscaling_target.api.scalable_dimension
  resource_id        = aws_appautoscaling_target.api.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.target
    scale_out_cooldown = 30  # a task serves within that time
    scale_in_cooldown  = 300 # a sale comes in waves

    predefined_metric_specification {
      predefined_metric_type = each.value.metric
      resource_label         = each.value.label
    }
  }
}
