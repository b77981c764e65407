# Services, balancer and autoscaling; rolling, and blue and green.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }

  override_resource {
    target = aws_lb.api
    values = { arn = "arn:lb", arn_suffix = "app/traffic-tacos-rsv/50dc6c495c0c9188", dns_name = "rsv.elb.amazonaws.com", zone_id = "Z1" }
  }

  override_resource {
    target = aws_lb_target_group.api["blue"]
    values = { arn = "arn:blue", arn_suffix = "targetgroup/traffic-tacos-rsv-blue/6d0ecf831eec9f09" }
  }
}

variables {
  image            = { uri = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  service_role_arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"
  certificate_arn  = "arn:aws:acm:ap-northeast-2:111122223333:certificate/12345678-1234-1234-1234-123456789012"
  log_group        = { name = "/aws/ecs/reservation-api", arn = "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/ecs/reservation-api" }
  payment          = { trusting = true }
  plain_text_peers = ["inventory", "collector"]

  network = {
    vpc                = { id = "vpc-0123456789abcdef0" }
    private_subnet_ids = ["subnet-a", "subnet-b"]
    security_group_ids = { balancer = "sg-balancer", service = "sg-service" }
    load_balancer      = { internal = false, subnet_ids = ["subnet-p", "subnet-q"] }
  }

  resources = {
    APP_DYNAMODB_TABLES_RESERVATIONS = "traffic-tacos-reservation-reservations"
    APP_DYNAMODB_TABLES_ORDERS       = "traffic-tacos-reservation-orders"
    APP_DYNAMODB_TABLES_IDEMPOTENCY  = "traffic-tacos-reservation-idempotency"
    APP_DYNAMODB_TABLES_OUTBOX       = "traffic-tacos-reservation-outbox"
    AWS_EVENTBRIDGE_BUS_NAME         = "traffic-tacos-reservation-events"
  }
}

run "api_and_workers_roll" {
  command = apply

  assert {
    condition = alltrue([for service in [aws_ecs_service.api["api"], aws_ecs_service.worker] : (
      service.deployment_minimum_healthy_percent == 100 && service.deployment_maximum_percent == 200
      && one(service.deployment_circuit_breaker).enable && one(service.deployment_circuit_breaker).rollback
      && service.launch_type == "FARGATE" && service.cluster == aws_ecs_cluster.this.id
      && !one(service.network_configuration).assign_public_ip
      && join(" ", sort(one(service.network_configuration).subnets)) == "subnet-a subnet-b"
      && one(one(service.network_configuration).security_groups) == "sg-service"
    )])
    error_message = "Zero downtime (section 9.1), private subnets (section 6.1), and back to what worked."
  }

  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.this : task.execution_role_arn == aws_iam_role.execution.arn && task.task_role_arn == var.service_role_arn])
    error_message = "What starts a task may pull and read secrets; what runs in it may not (section 6.3)."
  }

  assert {
    condition     = aws_lb_target_group.api["blue"].vpc_id == "vpc-0123456789abcdef0" && aws_appautoscaling_target.api.service_namespace == "ecs" && aws_appautoscaling_target.api.scalable_dimension == "ecs:service:DesiredCount"
    error_message = "Requests go to this VPC, and tasks are what is scaled."
  }

  assert {
    condition = jsonencode({ for service in [aws_ecs_service.api["api"], aws_ecs_service.worker] : service.name => [service.desired_count, service.task_definition == aws_ecs_task_definition.this[trimprefix(service.name, "traffic-tacos-reservation-")].arn] }) == jsonencode({
      traffic-tacos-reservation-api    = [2, true]
      traffic-tacos-reservation-worker = [2, true]
    })
    error_message = "Two of each, of its own task definition."
  }

  assert {
    condition     = [for it in aws_ecs_service.api["api"].load_balancer : [it.target_group_arn, it.container_name, it.container_port]] == [["arn:blue", "api", 8080]] && length(aws_ecs_service.worker.load_balancer) == 0
    error_message = "Requests go to the API alone."
  }

  assert {
    condition     = length(aws_ecs_service.api_blue_green) + length(aws_lb_listener.https_blue_green) == 0 && keys(aws_lb_target_group.api) == ["blue"] && output.blue_green == null
    error_message = "One target group is enough."
  }
}

run "the_balancer_speaks_tls_and_nothing_else" {
  command = apply

  assert {
    condition     = aws_lb_listener.https["api"].port == 443 && aws_lb_listener.https["api"].protocol == "HTTPS" && aws_lb_listener.https["api"].ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06" && aws_lb_listener.https["api"].certificate_arn == var.certificate_arn
    error_message = "TLS 1.2 and 1.3 (section 6.2)."
  }

  assert {
    condition     = one(aws_lb_listener.https["api"].default_action).target_group_arn == "arn:blue" && one(aws_lb_listener.https["api"].default_action).type == "forward"
    error_message = "To the tasks."
  }

  assert {
    condition     = aws_lb_listener.http.port == 80 && [for it in one(aws_lb_listener.http.default_action).redirect : "${it.protocol} ${it.port} ${it.status_code}"] == ["HTTPS 443 HTTP_301"]
    error_message = "Plain text is sent away."
  }

  assert {
    condition     = aws_lb.api.enable_deletion_protection && aws_lb.api.drop_invalid_header_fields && !aws_lb.api.internal && aws_lb.api.idle_timeout == 60 && one(aws_lb.api.security_groups) == "sg-balancer" && length(aws_lb.api.access_logs) == 0
    error_message = "It stays, and lets go of connections before the service does."
  }

  assert {
    condition     = output.load_balancer.arn_suffix == "app/traffic-tacos-rsv/50dc6c495c0c9188"
    error_message = "As the cloudwatch module takes it."
  }
}

run "health_is_asked_where_the_document_says" {
  command = apply

  assert {
    condition = jsonencode([for check in aws_lb_target_group.api["blue"].health_check : [check.path, check.matcher, check.interval, check.timeout, check.healthy_threshold, check.unhealthy_threshold]]) == jsonencode([
      ["/actuator/health", "200", 10, 5, 2, 3],
    ])
    error_message = "Section 9.1."
  }

  assert {
    condition     = aws_lb_target_group.api["blue"].target_type == "ip" && aws_lb_target_group.api["blue"].port == 8080 && tonumber(aws_lb_target_group.api["blue"].deregistration_delay) + var.stop_seconds < 60
    error_message = "A task is gone within a minute."
  }
}

run "autoscaling_by_cpu_and_by_requests" {
  command = apply

  assert {
    condition = jsonencode({ for key, policy in aws_appautoscaling_policy.api : key => [for it in policy.target_tracking_scaling_policy_configuration : [it.target_value, [for metric in it.predefined_metric_specification : [metric.predefined_metric_type, metric.resource_label]]]] }) == jsonencode({
      cpu      = [[50, [["ECSServiceAverageCPUUtilization", null]]]]
      requests = [[60000, [["ALBRequestCountPerTarget", "app/traffic-tacos-rsv/50dc6c495c0c9188/targetgroup/traffic-tacos-rsv-blue/6d0ecf831eec9f09"]]]]
    })
    error_message = "Half a CPU, or a thousand requests a second and vCPU."
  }

  assert {
    condition     = aws_appautoscaling_target.api.resource_id == "service/traffic-tacos-reservation/traffic-tacos-reservation-api" && aws_appautoscaling_target.api.min_capacity == 2 && aws_appautoscaling_target.api.max_capacity == 20
    error_message = "From two tasks to twenty."
  }
}

run "a_planned_peak_is_stood_from_its_first_second" {
  command   = apply
  state_key = "new" # a service that is there already keeps its number

  variables {
    planned_requests_per_second = 30000
    api                         = { cpu = 4096, memory = 8192 }
  }

  assert {
    condition     = aws_appautoscaling_target.api.min_capacity == 8 && aws_ecs_service.api["api"].desired_count == 8 && output.api_min_count == 8
    error_message = "30,000 requests a second by 4,000 a task."
  }

  assert {
    condition     = one(aws_appautoscaling_policy.api["requests"].target_tracking_scaling_policy_configuration).target_value == 240000
    error_message = "A minute's requests of four vCPUs."
  }
}

run "blue_and_green_are_codedeploys" {
  command = apply

  variables {
    deployment = "CODE_DEPLOY"
  }

  assert {
    condition     = one(aws_ecs_service.api_blue_green["api"].deployment_controller).type == "CODE_DEPLOY" && one(aws_ecs_service.api_blue_green["api"].load_balancer).target_group_arn == "arn:blue" && length(aws_ecs_service.api) == 0
    error_message = "It begins with blue."
  }

  assert {
    condition     = one(aws_ecs_service.worker.deployment_controller[*].type) != "CODE_DEPLOY"
    error_message = "Workers have no traffic to move."
  }

  assert {
    condition = jsonencode(output.blue_green) == jsonencode({
      cluster_name  = "traffic-tacos-reservation"
      listener_arn  = aws_lb_listener.https_blue_green["api"].arn
      service_name  = "traffic-tacos-reservation-api"
      target_groups = ["traffic-tacos-rsv-blue", "traffic-tacos-rsv-green"]
    })
    error_message = "All that a deployment group asks for."
  }

  assert {
    condition     = keys(aws_appautoscaling_policy.api) == ["cpu"] && aws_lb_listener.https_blue_green["api"].ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    error_message = "Requests are counted by a target group that changes."
  }
}

run "the_longest_env_fits_into_a_balancers_name" {
  command = plan

  variables {
    env        = "traffic-tacos-stage-2"
    deployment = "CODE_DEPLOY"
  }

  assert {
    condition     = length(aws_lb.api.name) <= 32 && alltrue([for group in aws_lb_target_group.api : length(group.name) <= 32])
    error_message = "AWS takes 32 characters."
  }
}

run "a_small_internal_one_with_logs" {
  command = plan

  variables {
    load_balancer      = { deletion_protection = false, access_logs_bucket = "logs-of-balancers" }
    container_insights = "enabled"
    network = {
      vpc                = { id = "vpc-0123456789abcdef0" }
      private_subnet_ids = ["subnet-a", "subnet-b"]
      security_group_ids = { balancer = "sg-balancer", service = "sg-service" }
      load_balancer      = { internal = true, subnet_ids = ["subnet-a", "subnet-b"] }
    }
  }

  assert {
    condition     = aws_lb.api.internal && !aws_lb.api.enable_deletion_protection && [for it in aws_lb.api.access_logs : [it.bucket, it.prefix, it.enabled]] == [["logs-of-balancers", "traffic-tacos-reservation", true]]
    error_message = "As asked for."
  }

  assert {
    condition     = one(aws_ecs_cluster.this.setting).value == "enabled"
    error_message = "Container Insights when it is asked for."
  }
}
