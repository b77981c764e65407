# What tasks are told, what they may, and what they are kept from. The provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

variables {
  image            = { uri = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  service_role_arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"
  certificate_arn  = "arn:aws:acm:ap-northeast-2:111122223333:certificate/12345678-1234-1234-1234-123456789012"
  log_group        = { name = "/aws/ecs/reservation-api", arn = "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/ecs/reservation-api" }
  payment          = { address = "grpcs://payment.traffic-tacos.com:443" }
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

  secrets = { JWT_JWKS = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:traffic-tacos-reservation-jwt-jwks-AbCdEf" }
}

run "the_environment_is_the_documents" {
  command = plan

  assert {
    condition = { for it in jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].environment : it.name => it.value } == jsondecode(<<-EOT
      {
        "AWS_REGION": "ap-northeast-2",
        "APP_DYNAMODB_TABLES_RESERVATIONS": "traffic-tacos-reservation-reservations",
        "APP_DYNAMODB_TABLES_ORDERS": "traffic-tacos-reservation-orders",
        "APP_DYNAMODB_TABLES_IDEMPOTENCY": "traffic-tacos-reservation-idempotency",
        "APP_DYNAMODB_TABLES_OUTBOX": "traffic-tacos-reservation-outbox",
        "AWS_EVENTBRIDGE_BUS_NAME": "traffic-tacos-reservation-events",
        "INVENTORY_GRPC_ADDRESS": "inventory-service.traffic-tacos.svc.cluster.local:9090",
        "JWT_ISSUER_URI": "https://auth.traffic-tacos.com/auth/realms/traffic-tacos",
        "OTLP_ENDPOINT": "http://otel-collector.traffic-tacos.svc.cluster.local:4318/v1/metrics",
        "SPRING_PROFILES_ACTIVE": "prod",

        "APP_SHUTDOWN_SECONDS": "30",
        "APP_STATUS_SHARDS": "1",
        "APP_WORKERS": "1",
        "PAYMENT_GRPC_ADDRESS": "grpcs://payment.traffic-tacos.com:443"
      }
    EOT
    )
    error_message = "Section 5, word for word; and what the profile prod, the time to stop and the cores ask for."
  }

  assert {
    condition = { for it in jsondecode(aws_ecs_task_definition.this["worker"].container_definitions)[0].environment : it.name => it.value } == merge(
      { for it in jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].environment : it.name => it.value if it.name != "APP_WORKERS" },
      { APP_MANAGEMENT_PORT = "8081" },
    )
    error_message = "Workers are told the same, and where they answer for their health."
  }

  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.this : jsondecode(task.container_definitions)[0].secrets == [{ name = "JWT_JWKS", valueFrom = var.secrets.JWT_JWKS }]])
    error_message = "The keys come from Secrets Manager."
  }

  assert {
    condition     = { for name, value in output.environment : name => value } == { for it in jsondecode(aws_ecs_task_definition.this["worker"].container_definitions)[0].environment : it.name => it.value if !contains(["APP_MANAGEMENT_PORT", "APP_SHUTDOWN_SECONDS"], it.name) }
    error_message = "Functions are told what tasks are, but for how they end."
  }
}

run "what_a_container_is_kept_from" {
  command = plan

  assert {
    condition = [for task in ["api", "worker"] : [for it in [jsondecode(aws_ecs_task_definition.this[task].container_definitions)[0]] : {
      image                            = it.image
      command                          = it.command
      essential                        = it.essential
      user                             = it.user
      root                             = it.readonlyRootFilesystem
      mighty                           = it.privileged
      stop                             = it.stopTimeout
      linux                            = it.linuxParameters
      ports                            = [for port in it.portMappings : port.containerPort]
      log                              = it.logConfiguration
      }][0]] == [for task, it in { api = { command = ["serve"], ports = [8080] }, worker = { command = ["worker"], ports = [] } } : {
      image                            = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      command                          = it.command
      essential                        = true
      user                             = "65532:65532"
      root                             = true
      mighty                           = false
      stop                             = 30
      linux                            = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
      ports                            = it.ports
      log = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = "/aws/ecs/reservation-api"
          awslogs-region        = "ap-northeast-2"
          awslogs-stream-prefix = task
          mode                  = "non-blocking"
          max-buffer-size       = "25m"
        }
      }
    }]
    error_message = "Nobody's user, no writable root, no capabilities, thirty seconds to end (section 9.1)."
  }

  assert {
    condition = alltrue([for task in aws_ecs_task_definition.this : (
      task.network_mode == "awsvpc" && jsonencode(task.requires_compatibilities) == jsonencode(["FARGATE"]) && task.task_role_arn == var.service_role_arn && one(task.runtime_platform).cpu_architecture == "ARM64"
    )])
    error_message = "On Fargate, as the service role."
  }

  assert {
    condition     = jsonencode({ for role, task in aws_ecs_task_definition.this : role => [task.family, task.cpu, task.memory] }) == jsonencode({ api = ["traffic-tacos-reservation-api", "1024", "2048"], worker = ["traffic-tacos-reservation-worker", "512", "1024"] })
    error_message = "As large as asked for."
  }
}

run "a_worker_that_hangs_is_noticed" {
  command = plan

  assert {
    condition = jsondecode(aws_ecs_task_definition.this["worker"].container_definitions)[0].healthCheck == jsondecode(<<-EOT
      {
        "command": ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8081/actuator/health/liveness', timeout=2)"],
        "interval": 30,
        "timeout": 5,
        "retries": 3,
        "startPeriod": 30
      }
    EOT
    )
    error_message = "ECS asks it, without a shell."
  }

  assert {
    condition     = !can(jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].healthCheck)
    error_message = "The balancer asks the API."
  }
}

run "what_ecs_may_do_to_start_them" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.execution.policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "PullImages",
          "Effect": "Allow",
          "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
          "Resource": ["arn:aws:ecr:ap-northeast-2:111122223333:repository/reservation-api"]
        },
        {
          "Sid": "LogInToEcr",
          "Effect": "Allow",
          "Action": ["ecr:GetAuthorizationToken"],
          "Resource": ["*"]
        },
        {
          "Sid": "WriteLogs",
          "Effect": "Allow",
          "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
          "Resource": ["arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/ecs/reservation-api:*"]
        },
        {
          "Sid": "ReadSecrets",
          "Effect": "Allow",
          "Action": ["secretsmanager:GetSecretValue"],
          "Resource": ["arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:traffic-tacos-reservation-jwt-jwks-AbCdEf"]
        }
      ]
    EOT
    )
    error_message = "This image, this group, this secret."
  }

  assert {
    condition = jsondecode(aws_iam_role.execution.assume_role_policy).Statement == jsondecode(<<-EOT
      [{
        "Sid": "EcsTasks",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}
      }]
    EOT
    )
    error_message = "ECS, for this account only."
  }
}

run "a_boundary_binds_the_execution_role" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.execution.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "As those of the iam module."
  }
}

run "without_secrets_the_issuer_is_asked" {
  command = plan

  variables {
    secrets = {}
    image   = { uri = "ghcr.io/traffic-tacos/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", architecture = "X86_64" }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[*].Sid == ["WriteLogs"] && jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].secrets == []
    error_message = "Nothing to read, and nothing of ECR to pull."
  }
}

run "a_collector_beside_each_task_ends_after_it" {
  command = plan

  variables {
    collector        = { image = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/aws-otel-collector:v0.43.3", config = "receivers: {}" }
    plain_text_peers = ["inventory"]
  }

  assert {
    condition = alltrue([for task in ["api", "worker"] : [for it in jsondecode(aws_ecs_task_definition.this[task].container_definitions) : [it.name, it.essential, it.user, it.readonlyRootFilesystem]] == [
      [task, true, "65532:65532", true], ["collector", false, "65532:65532", true],
    ]])
    error_message = "Without it the service goes on."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[1].environment == [{ name = "AOT_CONFIG_CONTENT", value = "receivers: {}" }]
    error_message = "With the configuration that the cloudwatch module writes."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].dependsOn == [{ containerName = "collector", condition = "START" }]
    error_message = "What starts after it ends before it."
  }

  assert {
    condition     = alltrue([for task in ["api", "worker"] : [for it in jsondecode(aws_ecs_task_definition.this[task].container_definitions)[0].environment : it.value if it.name == "APP_TRACES"] == ["false"]])
    error_message = "Its configuration has no pipeline for traces."
  }

  assert {
    condition     = [for it in jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].environment : it.value if it.name == "OTLP_ENDPOINT"] == ["http://localhost:4318/v1/metrics"] && !contains(keys(output.environment), "OTLP_ENDPOINT")
    error_message = "Plain text within the task needs no exception; functions have none beside them."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[0].Resource == ["arn:aws:ecr:ap-northeast-2:111122223333:repository/reservation-api", "arn:aws:ecr:ap-northeast-2:111122223333:repository/aws-otel-collector"]
    error_message = "Its image is pulled too."
  }
}

run "large_tasks_have_a_process_for_each_core" {
  command = plan

  variables {
    api       = { cpu = 4096, memory = 8192 }
    grpc_port = 8011
  }

  assert {
    condition     = { for it in jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].environment : it.name => it.value if contains(["APP_WORKERS", "GRPC_PORT"], it.name) } == { APP_WORKERS = "4", GRPC_PORT = "8011" }
    error_message = "Four, and gRPC where it is asked for."
  }

  assert {
    condition     = [for port in jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].portMappings : port.containerPort] == [8080, 8011]
    error_message = "The port is the task's."
  }
}

run "another_env_has_other_addresses" {
  command = plan

  variables {
    env                 = "demo"
    profile             = "default"
    payment             = { trusting = true }
    further_environment = { APP_JWT_AUDIENCE = "reservation-api" }
    stop_seconds        = 60
  }

  assert {
    condition = { for it in jsondecode(aws_ecs_task_definition.this["worker"].container_definitions)[0].environment : it.name => it.value if !contains(keys(var.resources), it.name) } == {
      APP_JWT_AUDIENCE       = "reservation-api"
      APP_MANAGEMENT_PORT    = "8081"
      APP_PAYMENT_VERIFIER   = "trusting"
      APP_SHUTDOWN_SECONDS   = "60"
      APP_STATUS_SHARDS      = "1"
      AWS_REGION             = "ap-northeast-2"
      INVENTORY_GRPC_ADDRESS = "inventory-service.demo.svc.cluster.local:9090"
      JWT_ISSUER_URI         = "https://auth.traffic-tacos.com/auth/realms/traffic-tacos"
      OTLP_ENDPOINT          = "http://otel-collector.demo.svc.cluster.local:4318/v1/metrics"
      SPRING_PROFILES_ACTIVE = "default"
    }
    error_message = "The namespace is env; who believes payments is said by name."
  }
}
