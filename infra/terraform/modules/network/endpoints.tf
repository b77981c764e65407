# What an endpoint lets through: this environment's resources, whatever the roles in the VPC may do elsewhere. Whoever
# steals a role's credentials can not carry data by these ways to tables or buses of his own.

locals {
  of_this_account = { StringEquals = { "aws:PrincipalAccount" = local.account } }

  bus        = "arn:aws:events:${local.region}:${local.account}:event-bus/${local.prefix}-events"
  queues     = "arn:aws:sqs:${local.region}:${local.account}:${local.prefix}-events"
  log_groups = "arn:aws:logs:${local.region}:${local.account}:log-group"

  # What the service's role may do, and what operators do by `reservation-api backup` and `doctor`.
  items  = ["BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"]
  tables = ["CreateBackup", "DescribeBackup", "DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive"]

  # What `reservation-api consume` and `dlq` do, and Lambda for the processor.
  messages = ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage", "SendMessage"]

  pull_images = [
    {
      Sid      = "LogIn"
      Action   = "ecr:GetAuthorizationToken" # ECR knows no resource for it
      Resource = "*"
    },
    {
      Sid      = "PullImages"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [for repository in sort(var.image_repositories) : "arn:aws:ecr:${local.region}:${local.account}:repository/${repository}"]
    },
  ]

  endpoint_statements = {
    dynamodb = [{
      Sid    = "TablesOfThisEnvironment"
      Action = [for action in concat(local.items, local.tables) : "dynamodb:${action}"]
      # `*` covers indexes and backups as well, whose ARNs begin with the table's.
      Resource = "arn:aws:dynamodb:${local.region}:${local.account}:table/${local.prefix}-*"
    }]
    "ecr.api" = local.pull_images
    "ecr.dkr" = local.pull_images
    events = [
      { Sid = "PutEvents", Action = "events:PutEvents", Resource = local.bus },
      {
        Sid      = "ReadTheBusAndItsRules"
        Action   = ["events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule"]
        Resource = [local.bus, "arn:aws:events:${local.region}:${local.account}:rule/${local.prefix}-events/*"]
      },
    ]
    logs = [{
      Sid      = "WriteLogs"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${local.log_groups}:/aws/ecs/reservation-api*"]
    }]
    secretsmanager = [{
      Sid      = "ReadSecretsOfThisEnvironment"
      Action   = "secretsmanager:GetSecretValue"
      Resource = "arn:aws:secretsmanager:${local.region}:${local.account}:secret:${local.prefix}-*"
    }]
    sqs = [{
      Sid      = "QueuesOfThisEnvironment"
      Action   = [for action in local.messages : "sqs:${action}"]
      Resource = ["${local.queues}-dlq", "${local.queues}-queue"]
    }]
    # A pod's token stands for who it is until STS has given it a role: there is no account to compare yet.
    sts = [{ Sid = "TakeRoles", Action = "sts:AssumeRoleWithWebIdentity", Resource = "arn:aws:iam::${local.account}:role/${local.prefix}-*", Condition = {} }]
    # ECR hands out addresses of layers that are signed already, by AWS and not by this account.
    s3 = [{ Sid = "LayersOfImages", Action = "s3:GetObject", Resource = "arn:aws:s3:::prod-${local.region}-starport-layer-bucket/*", Condition = {} }]
  }

  endpoint_policies = { for service, statements in local.endpoint_statements : service => jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in statements : { for key, value in merge(
      { Effect = "Allow", Principal = "*", Condition = local.of_this_account },
      statement,
    ) : key => value if value != {} }]
  }) }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = var.gateway_endpoints

  vpc_id            = local.vpc_id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  route_table_ids   = local.private_route_table_ids
  policy            = local.endpoint_policies[each.key]
  tags              = merge(var.tags, { Name = "${local.prefix}-${each.key}" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = local.vpc_id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  subnet_ids          = local.private_subnet_ids
  security_group_ids  = [aws_security_group.this["endpoints"].id]
  private_dns_enabled = true # the services' own names lead here, and nobody has to know
  policy              = local.endpoint_policies[each.key]
  tags                = merge(var.tags, { Name = "${local.prefix}-${each.key}" })
}
