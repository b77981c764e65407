locals {
  # AWS takes 32 characters for a balancer or a target group: env has up to 21 of them.
  short_prefix = "${var.env}-rsv"

  # Rolling deployments have one target group; CodeDeploy moves the listener between two.
  colours = toset(var.deployment == "CODE_DEPLOY" ? ["blue", "green"] : ["blue"])
}

resource "aws_lb" "api" {
  name                       = local.short_prefix
  internal                   = var.network.load_balancer.internal
  subnets                    = var.network.load_balancer.subnet_ids
  security_groups            = [var.network.security_group_ids["balancer"]]
  enable_deletion_protection = var.load_balancer.deletion_protection
  drop_invalid_header_fields = true
  idle_timeout               = 60 # below the 75 s after which the service closes an idle connection: else requests would meet its end
  tags                       = var.tags

  dynamic "access_logs" {
    for_each = var.load_balancer.access_logs_bucket[*]

    content {
      bucket  = access_logs.value
      prefix  = local.prefix
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "api" {
  # checkov:skip=CKV_AWS_378:Port 8080 of section 6.1 is HTTP: within the VPC, from the balancer's group alone. README.md says so.

  for_each = local.colours

  name        = "${local.short_prefix}-${each.key}"
  vpc_id      = var.network.vpc.id
  target_type = "ip" # a task of Fargate has an address and no instance
  port        = local.port
  protocol    = "HTTP"

  # A hold takes longer than a read: count what is under way, not what was sent.
  load_balancing_algorithm_type = "least_outstanding_requests"

  # ECS takes a task out of the group, waits for so long, and only then sends SIGTERM. No request takes longer: the service
  # gives up on each of its peers within 3 seconds. From SIGTERM on it drains once more, for those who came late.
  deregistration_delay = 15

  # Section 9.1. The answer is about this process alone: a table, bus or inventory that fails shows in it as a component, and
  # the status stays UP. Were it DOWN, all tasks would fail at once, the balancer would have nobody left, and ECS would
  # replace, one after the other, tasks that nothing is wrong with. Only a process that can not serve, or drains, says 503.
  health_check {
    path                = "/actuator/health"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  tags = var.tags
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.api.arn
  port              = 80
  protocol          = "HTTP"
  tags              = var.tags

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  for_each = local.rolling

  load_balancer_arn = aws_lb.api.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.load_balancer.ssl_policy
  certificate_arn   = var.certificate_arn
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api["blue"].arn
  }
}

# The same, but CodeDeploy says where it leads.
resource "aws_lb_listener" "https_blue_green" {
  for_each = local.blue_green

  load_balancer_arn = aws_lb.api.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.load_balancer.ssl_policy
  certificate_arn   = var.certificate_arn
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api["blue"].arn
  }

  lifecycle {
    ignore_changes = [default_action]
  }
}
