data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id

  # Whoever makes a service act for them must be of this account: the service is nobody else's deputy.
  of_this_account = { StringEquals = { "aws:SourceAccount" = local.account } }
}

# --- The service: `{env}-reservation-api-service-role` -----------------------------------------------------------------

locals {
  # Section 3.1, word for word: the same actions and resources in the same order, and so without sids.
  service_policies = {
    dynamodb = {
      Version = "2012-10-17"
      Statement = [{
        Effect = "Allow"
        Action = [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:UpdateItem",
          "dynamodb:DeleteItem",
          "dynamodb:Query",
          "dynamodb:Scan",
          "dynamodb:BatchGetItem",
          "dynamodb:BatchWriteItem",
        ]
        Resource = [
          "arn:aws:dynamodb:${var.region}:*:table/${var.env}-reservation-*",
          "arn:aws:dynamodb:${var.region}:*:table/${var.env}-reservation-*/index/*",
        ]
      }]
    }
    eventbridge = {
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["events:PutEvents"]
        Resource = ["arn:aws:events:${var.region}:*:event-bus/${var.env}-reservation-events"]
      }]
    }
    logs = {
      Version = "2012-10-17"
      Statement = [{
        Effect = "Allow"
        Action = [
          "logs:CreateLogGroup",
          "logs:CreateLogStream",
          "logs:PutLogEvents",
        ]
        Resource = "arn:aws:logs:${var.region}:*:log-group:/aws/ecs/reservation-api*"
      }]
    }
  }

  eks = var.eks_service_account == null ? [] : [{
    provider_arn = var.eks_service_account.oidc_provider_arn
    issuer       = element(split(":oidc-provider/", var.eks_service_account.oidc_provider_arn), 1)
    subject      = "system:serviceaccount:${coalesce(var.eks_service_account.namespace, var.env)}:${var.eks_service_account.name}"
  }]

  service_trust = concat(
    [for _ in var.ecs_tasks ? ["ecs"] : [] : {
      Sid       = "EcsTasks"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = local.of_this_account
    }],
    [for eks in local.eks : {
      Sid       = "EksServiceAccount"
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = eks.provider_arn }
      # The subject alone would do for tokens that the same cluster makes for others than AWS.
      Condition = { StringEquals = {
        "${eks.issuer}:sub" = eks.subject
        "${eks.issuer}:aud" = "sts.amazonaws.com"
      } }
    }],
  )
}

resource "aws_iam_role" "service" {
  name                 = "${var.env}-reservation-api-service-role"
  description          = "What the reservation service is while it serves: its tables, its bus, its logs."
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local.service_trust })
  tags                 = var.tags

  lifecycle {
    precondition {
      condition     = length(local.service_trust) > 0
      error_message = "Nobody could take the service role: turn on ecs_tasks, or give an eks_service_account."
    }

    precondition {
      condition     = alltrue([for eks in local.eks : startswith(eks.provider_arn, "arn:aws:iam::${local.account}:")])
      error_message = "The OIDC provider is not of account ${local.account}: a role trusts the providers of its own account only."
    }
  }
}

resource "aws_iam_policy" "service" {
  for_each = local.service_policies

  name        = "${var.env}-reservation-api-${each.key}"
  description = "Document section 3.1, word for word."
  policy      = jsonencode(each.value)
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "service" {
  for_each = local.service_policies

  role       = aws_iam_role.service.name
  policy_arn = aws_iam_policy.service[each.key].arn
}

# --- The functions: what each does, on the very resources that it does it to --------------------------------------------

locals {
  function_names = {
    event_processor = coalesce(var.event_processor.function_name, "${var.env}-reservation-event-processor")
    expiry          = coalesce(var.expiry.function_name, "${var.env}-reservation-expiry")
  }

  events       = "arn:aws:events:${var.region}:${local.account}"
  queues       = "arn:aws:sqs:${var.region}:${local.account}"
  reservations = "arn:aws:dynamodb:${var.region}:${local.account}:table/${var.env}-reservation-reservations"
  outbox       = "arn:aws:dynamodb:${var.region}:${local.account}:table/${var.env}-reservation-outbox"

  # The log group itself is the cloudwatch module's, with its retention; a function that may create one would bring it
  # back without.
  log_statements = { for function, name in local.function_names : function => [{
    Sid      = "WriteLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = "arn:aws:logs:${var.region}:${local.account}:log-group:/aws/lambda/${name}:*"
  }] }

  # Lambda makes a function's network interfaces with the function's role. EC2 knows no resources for most of it, so what
  # is allowed to Lambda is denied to the function's own code.
  interface_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
  vpc_statements = { for function, name in local.function_names : function => [
    for statement in [
      { Sid = "LetLambdaAttachToTheVpc", Effect = "Allow", Action = local.interface_actions, Resource = "*", Condition = null },
      {
        Sid       = "ButNotTheFunctionItself"
        Effect    = "Deny"
        Action    = local.interface_actions
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:${var.region}:${local.account}:function:${name}" } }
      },
    ] : { for key, value in statement : key => value if value != null } if var.functions_in_vpc
  ] }

  event_processor_statements = concat(
    [
      {
        # EventBridge pushes events; what can be read is which ones, from where and to where.
        Sid    = "ReadTheBusAndItsRules"
        Effect = "Allow"
        Action = ["events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule"]
        Resource = [
          "${local.events}:event-bus/${var.env}-reservation-events",
          "${local.events}:rule/${var.env}-reservation-events/${var.env}-reservation-created",
          "${local.events}:rule/${var.env}-reservation-events/${var.env}-reservation-status-changed",
        ]
      },
      {
        Sid      = "WriteDeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = "${local.queues}:${var.env}-reservation-events-dlq"
      },
    ],
    [for statement in [{
      Sid    = "TakeEventsFromTheQueue"
      Effect = "Allow"
      # Lambda asks for the attributes of a queue that it reads for a function; `consume` for its URL, by name.
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = "${local.queues}:${var.env}-reservation-events-queue"
    }] : statement if coalesce(var.event_processor.takes_from_queue, contains(var.event_processor.runs_on, "ecs"))],
    # Section 3.2 lists logs whatever it runs on; an ECS task's log driver has the task's execution role besides.
    local.log_statements.event_processor,
    [for statement in local.vpc_statements.event_processor : statement if contains(var.event_processor.runs_on, "lambda")],
  )

  # `Expire`: find holds that are past their end, read them, and move each in one transaction with its two outbox rows;
  # and, as every process does with what it commits itself, carry those rows out.
  expiry_statements = concat(
    [
      {
        Sid      = "FindDueHolds"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = "${local.reservations}/index/status-created-index"
      },
      {
        Sid      = "ReadDueHolds"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem"]
        Resource = local.reservations
      },
      {
        Sid      = "ExpireInTransactions"
        Effect   = "Allow"
        Action   = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = [local.reservations, local.outbox]
        # Outside a transaction a hold could be moved without its event and its seats' release.
        Condition = { "ForAnyValue:StringEquals" = { "dynamodb:EnclosingOperation" = ["TransactWriteItems"] } }
      },
    ],
    [for statement in [
      {
        Sid      = "PublishWhatExpired"
        Effect   = "Allow"
        Action   = ["events:PutEvents"]
        Resource = "${local.events}:event-bus/${var.env}-reservation-events"
      },
      {
        # One row by DeleteItem, several by BatchWriteItem.
        Sid      = "DeleteWhatIsDone"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:BatchWriteItem"]
        Resource = local.outbox
      },
    ] : statement if var.expiry.relays],
    local.log_statements.expiry,
    local.vpc_statements.expiry,
  )

  services = { lambda = "lambda.amazonaws.com", ecs = "ecs-tasks.amazonaws.com" }

  functions = {
    event_processor = {
      role        = "${var.env}-reservation-event-processor-role"
      description = "What processes reservation events."
      services    = [for runtime in sort(var.event_processor.runs_on) : local.services[runtime]]
      statements  = local.event_processor_statements
    }
    expiry = {
      role        = "${var.env}-reservation-expiry-role"
      description = "What expires holds when no worker does."
      services    = [local.services.lambda]
      statements  = local.expiry_statements
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = each.value.role
  description          = each.value.description
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "RunningCode"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = each.value.services }
      Condition = local.of_this_account
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "what-it-does"
  role   = aws_iam_role.function[each.key].name
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}
