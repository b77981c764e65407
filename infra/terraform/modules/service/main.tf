data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region
  prefix  = "${var.env}-reservation"
  port    = 8080
}

# --- The execution role: what ECS is while it starts a task -------------------------------------------------------------

locals {
  images = compact([var.image.uri, try(var.collector.image, null)])

  # Of ECR's own images: a public one is pulled by nobody in particular.
  repositories = distinct([for match in [for image in local.images : try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com/([^:@]+)", image), null)] :
    "arn:aws:ecr:${match[1]}:${match[0]}:repository/${match[2]}" if match != null
  ])

  execution_statements = concat(
    [for repositories in length(local.repositories) > 0 ? [local.repositories] : [] : {
      Sid      = "PullImages"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = repositories
    }],
    [for repositories in length(local.repositories) > 0 ? ["*"] : [] : {
      Sid      = "LogInToEcr"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = [repositories] # ECR knows no resource for it
    }],
    [{
      # The group is there already; a driver that may create one would bring it back without retention.
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${var.log_group.arn}:*"]
    }],
    [for arns in length(var.secrets) > 0 ? [sort(distinct(values(var.secrets)))] : [] : {
      Sid      = "ReadSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = arns
    }],
  )
}

resource "aws_iam_role" "execution" {
  name                 = "${local.prefix}-api-execution-role"
  description          = "What ECS is while it starts tasks of the reservation service: pulls images, reads secrets, writes logs."
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EcsTasks"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "execution" {
  name   = "start-tasks"
  role   = aws_iam_role.execution.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}

# --- Tasks --------------------------------------------------------------------------------------------------------------

locals {
  roles = {
    api    = { command = ["serve"], cpu = var.api.cpu, memory = var.api.memory, ports = concat([local.port], var.grpc_port[*]), health_checks = [] }
    worker = { command = ["worker"], cpu = var.worker.cpu, memory = var.worker.memory, ports = [], health_checks = [local.liveness] }
  }

  # The balancer asks the API. Nobody would notice a worker that hangs, nor a version whose workers never begin.
  liveness = {
    command     = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:${local.management_port}/actuator/health/liveness', timeout=2)"]
    interval    = 30
    timeout     = 5
    retries     = 3
    startPeriod = 30
  }

  # What any container here is kept from.
  confined = {
    essential              = true
    readonlyRootFilesystem = true
    privileged             = false
    user                   = "65532:65532" # nobody's, as the image says too
  }

  log_configurations = { for stream in ["api", "worker", "collector"] : stream => {
    logDriver = "awslogs"
    options = {
      awslogs-group         = var.log_group.name
      awslogs-region        = local.region
      awslogs-stream-prefix = stream
      # Logs that CloudWatch does not take are lost, and the service goes on; otherwise it would stop at its next line.
      mode            = "non-blocking"
      max-buffer-size = "25m"
    }
  } }

  containers = { for role, it in local.roles : role => concat(
    [merge(local.confined, { for check in it.health_checks : "healthCheck" => check }, {
      name         = role
      image        = var.image.uri
      command      = it.command
      portMappings = [for port in it.ports : { containerPort = port, hostPort = port, protocol = "tcp" }]
      environment  = [for name, value in local.environments[role] : { name = name, value = value }]
      secrets      = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
      stopTimeout  = var.stop_seconds
      # Reaps what the parent of several processes leaves, and passes SIGTERM on.
      linuxParameters = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
      # A socket for each client of the balancer, each peer and each call of AWS.
      ulimits          = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
      logConfiguration = local.log_configurations[role]
      # ECS stops containers the other way round: the collector is there for the last metrics.
      dependsOn = [for _ in local.collectors : { containerName = "collector", condition = "START" }]
    })],
    local.collectors,
  ) }

  collectors = [for it in var.collector[*] : merge(local.confined, {
    name             = "collector"
    image            = it.image
    essential        = false # without metrics the service still serves
    cpu              = it.cpu
    memory           = it.memory
    environment      = [{ name = "AOT_CONFIG_CONTENT", value = it.config }]
    linuxParameters  = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    logConfiguration = local.log_configurations.collector
  })]
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.roles

  family                   = "${local.prefix}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = tostring(each.value.cpu)
  memory                   = tostring(each.value.memory)
  task_role_arn            = var.service_role_arn
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = jsonencode(local.containers[each.key])
  tags                     = var.tags

  runtime_platform {
    cpu_architecture        = var.image.architecture
    operating_system_family = "LINUX"
  }

  # A task that starts before its role may read does not start.
  depends_on = [aws_iam_role_policy.execution]

  lifecycle {
    precondition {
      condition     = length(local.plain_text_unasked) == 0
      error_message = "Plain text to ${join(", ", local.plain_text_unasked)}: give an address with TLS (grpcs://, https://), or name it in plain_text_peers."
    }

    precondition {
      condition     = length(local.plain_text_outside) == 0
      error_message = "Plain text to ${join(", ", local.plain_text_outside)}, in none of private_domains: such names, and addresses without names, may be anybody's."
    }

    precondition {
      condition     = length(local.given_twice) == 0
      error_message = "${join(", ", local.given_twice)} in further_environment: this module sets it."
    }
  }
}

# --- Services -----------------------------------------------------------------------------------------------------------

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65:Off unless asked for: each task's metrics are paid for (section 7.3).

  name = local.prefix
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = var.container_insights
  }
}

locals {
  rolling    = toset(var.deployment == "ECS" ? ["api"] : [])
  blue_green = toset(var.deployment == "CODE_DEPLOY" ? ["api"] : [])

  api_tasks_needed = ceil(coalesce(var.planned_requests_per_second, 0) / (var.api.requests_per_second_per_vcpu * var.api.cpu / 1024))
  api_min_count    = max(2, local.api_tasks_needed) # two, for a zone that is lost and for deployments

  # What the two services of the API have in common.
  api = {
    name            = "${local.prefix}-api"
    subnets         = var.network.private_subnet_ids
    security_groups = [var.network.security_group_ids["service"]]
    # A task starts within seconds; until then its failing checks are no reason to replace it.
    grace_seconds = 60
  }
}

# Task definition and number of tasks: Terraform sets the former, autoscaling the latter.
resource "aws_ecs_service" "api" {
  # checkov:skip=CKV_AWS_332:1.4.0 is the latest; by its number, the next one comes when it is asked for.

  for_each = local.rolling

  name                               = local.api.name
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.this["api"].arn
  desired_count                      = local.api_min_count
  launch_type                        = "FARGATE"
  platform_version                   = "1.4.0" # from here on images, secrets and logs go by the task's own interface
  deployment_minimum_healthy_percent = 100     # section 9.1: nobody notices
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = local.api.grace_seconds
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  network_configuration {
    subnets          = local.api.subnets
    security_groups  = local.api.security_groups
    assign_public_ip = false # section 6.1: private subnets
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.api["blue"].arn
    container_name   = "api"
    container_port   = local.port
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  depends_on = [aws_lb_listener.https]

  lifecycle {
    ignore_changes = [desired_count]
  }
}

# CodeDeploy makes the new tasks and moves the listener: what runs, and behind which target group, is then its own.
resource "aws_ecs_service" "api_blue_green" {
  # checkov:skip=CKV_AWS_332:1.4.0 is the latest; by its number, the next one comes when it is asked for.

  for_each = local.blue_green

  name                              = local.api.name
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.this["api"].arn
  desired_count                     = local.api_min_count
  launch_type                       = "FARGATE"
  platform_version                  = "1.4.0"
  health_check_grace_period_seconds = local.api.grace_seconds
  propagate_tags                    = "SERVICE"
  tags                              = var.tags

  deployment_controller {
    type = "CODE_DEPLOY"
  }

  network_configuration {
    subnets          = local.api.subnets
    security_groups  = local.api.security_groups
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.api["blue"].arn
    container_name   = "api"
    container_port   = local.port
  }

  depends_on = [aws_lb_listener.https_blue_green]

  lifecycle {
    ignore_changes = [desired_count, load_balancer, network_configuration, task_definition]
  }
}

resource "aws_ecs_service" "worker" {
  # checkov:skip=CKV_AWS_332:1.4.0 is the latest; by its number, the next one comes when it is asked for.

  name                               = "${local.prefix}-worker"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.this["worker"].arn
  desired_count                      = var.worker.count
  launch_type                        = "FARGATE"
  platform_version                   = "1.4.0"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  network_configuration {
    subnets          = local.api.subnets
    security_groups  = local.api.security_groups
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}
