data "aws_availability_zones" "here" {}

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "public" {
  count             = 2
  vpc_id            = aws_vpc.this.id
  availability_zone = data.aws_availability_zones.here.names[count.index]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 4, count.index)
}

resource "aws_security_group" "balancer" {
  name   = "balancer"
  vpc_id = aws_vpc.this.id
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_ecs_cluster" "this" {
  name = "reservation"
  tags = { Cluster = var.changed ? "changed" : "reservation" }

  setting {
    name  = "containerInsights"
    value = var.changed ? "disabled" : "enabled"
  }
}

resource "aws_iam_role" "task" {
  name = "task"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_ecs_task_definition" "api" {
  family                   = "reservation-api"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = "1024"
  memory                   = "2048"
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.task.arn
  tags                     = { Task = var.changed ? "changed" : "api" }

  runtime_platform {
    cpu_architecture        = "ARM64"
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name         = "api"
    image        = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api:1"
    essential    = true
    portMappings = [{ containerPort = 8080 }]
    environment  = [{ name = "B", value = "2" }, { name = "A", value = "1" }]
    secrets      = [{ name = "JWT_JWKS", valueFrom = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:jwks" }]
    healthCheck  = { command = ["CMD", "true"] }
    stopTimeout  = 30
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-group = "/aws/ecs/reservation-api", awslogs-region = "ap-northeast-2", awslogs-stream-prefix = "api" }
    }
  }])
}

resource "aws_lb" "api" {
  name                       = "reservation-api"
  internal                   = false
  subnets                    = aws_subnet.public[*].id
  security_groups            = [aws_security_group.balancer.id]
  idle_timeout               = var.changed ? 60 : 30
  drop_invalid_header_fields = true
  tags                       = { Balancer = var.changed ? "changed" : "api" }
  depends_on                 = [aws_internet_gateway.this]
}

resource "aws_lb_target_group" "api" {
  for_each             = toset(["blue", "green"])
  name                 = "reservation-api-${each.key}"
  port                 = 8080
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = aws_vpc.this.id
  deregistration_delay = var.changed ? 60 : 30

  health_check {
    path                = var.changed ? "/actuator/health/readiness" : "/actuator/health"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.api.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "forward"

    forward {
      dynamic "target_group" {
        for_each = { blue = var.changed ? 10 : 90, green = var.changed ? 90 : 10 }
        content {
          arn    = aws_lb_target_group.api[target_group.key].arn
          weight = target_group.value
        }
      }
    }
  }
}

resource "aws_acm_certificate" "api" {
  domain_name               = "api.traffic-tacos.com"
  subject_alternative_names = ["api.traffic-tacos.com", "www.traffic-tacos.com"]
  validation_method         = "DNS"
  tags                      = { Certificate = var.changed ? "changed" : "api" }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.api.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.api.arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api["blue"].arn
  }
}

resource "aws_lb_listener" "redirect" {
  load_balancer_arn = aws_lb.api.arn
  port              = 8081
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = var.changed ? "HTTP_302" : "HTTP_301"
    }
  }
}

resource "aws_ecs_service" "api" {
  name                               = "reservation-api"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.api.arn
  desired_count                      = var.changed ? 3 : 2
  launch_type                        = "FARGATE"
  platform_version                   = "1.4.0"
  deployment_maximum_percent         = 200
  deployment_minimum_healthy_percent = 100
  health_check_grace_period_seconds  = 30
  enable_execute_command             = !var.changed
  propagate_tags                     = "SERVICE"
  tags                               = { Service = var.changed ? "changed" : "api" }
  depends_on                         = [aws_lb_listener.http]

  network_configuration {
    subnets         = aws_subnet.public[*].id
    security_groups = [aws_security_group.balancer.id]
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.api["blue"].arn
    container_name   = "api"
    container_port   = 8080
  }
}

resource "aws_appautoscaling_target" "api" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.api.name}"
  min_capacity       = 2
  max_capacity       = var.changed ? 30 : 20
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.api.service_namespace
  scalable_dimension = aws_appautoscaling_target.api.scalable_dimension
  resource_id        = aws_appautoscaling_target.api.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.changed ? 50 : 60
    scale_in_cooldown  = 300
    scale_out_cooldown = 30

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "step" {
  name               = "step"
  service_namespace  = aws_appautoscaling_target.api.service_namespace
  scalable_dimension = aws_appautoscaling_target.api.scalable_dimension
  resource_id        = aws_appautoscaling_target.api.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = 60
    metric_aggregation_type = "Average"

    step_adjustment {
      metric_interval_lower_bound = "0"
      scaling_adjustment          = var.changed ? 3 : 2
    }
  }
}
