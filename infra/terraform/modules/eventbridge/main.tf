data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region
  source  = "reservation.service"

  # ARNs in policies are put together from names, so that a plan shows whole policies, and so that a queue and its dead
  # letters can name each other.
  bus_name   = "${var.env}-reservation-events"
  bus_arn    = "arn:aws:events:${local.region}:${local.account}:event-bus/${local.bus_name}"
  dlq_name   = "${local.bus_name}-dlq"
  dlq_arn    = "arn:aws:sqs:${local.region}:${local.account}:${local.dlq_name}"
  queue_name = "${local.bus_name}-queue"
  queue_arn  = "arn:aws:sqs:${local.region}:${local.account}:${local.queue_name}"
}

# --- The bus, who may put events on it, and its archive ------------------------------------------------------------------

resource "aws_cloudwatch_event_bus" "this" {
  name        = local.bus_name
  description = "Events of reservations (document section 2.1)."
  tags        = var.tags
}

locals {
  publishers = sort(setunion([var.service_role_arn], var.publisher_role_arns))
}

resource "aws_cloudwatch_event_bus_policy" "this" {
  event_bus_name = aws_cloudwatch_event_bus.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LetTheServicePutItsEvents"
        Effect    = "Allow"
        Principal = { AWS = local.publishers }
        Action    = "events:PutEvents"
        Resource  = local.bus_arn
        Condition = { StringEquals = { "events:source" = local.source } }
      },
      {
        # Whatever an identity of this account may do to every bus: rules and consumers trust what comes by this one. A
        # replay is EventBridge's own doing, and has no principal of the account.
        Sid       = "DenyEverybodyElse"
        Effect    = "Deny"
        Principal = "*"
        Action    = "events:PutEvents"
        Resource  = local.bus_arn
        Condition = {
          ArnNotEquals = { "aws:PrincipalArn" = local.publishers }
          Bool         = { "aws:PrincipalIsAWSService" = "false" }
        }
      },
      {
        Sid       = "DenyOtherSources"
        Effect    = "Deny"
        Principal = "*"
        Action    = "events:PutEvents"
        Resource  = local.bus_arn
        Condition = { StringNotEquals = { "events:source" = local.source } }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "events:PutEvents"
        Resource  = local.bus_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  lifecycle {
    precondition {
      condition     = alltrue([for arn in local.publishers : strcontains(arn, "::${local.account}:")])
      error_message = "The bus takes events from roles of its own account, ${local.account}, only."
    }
  }
}

resource "aws_cloudwatch_event_archive" "this" {
  name             = "${local.bus_name}-archive"
  description      = "Every event of the reservation service, to be replayed."
  event_source_arn = aws_cloudwatch_event_bus.this.arn
  retention_days   = var.archive_days
  event_pattern    = jsonencode({ source = [local.source] })
}

# --- Rules (section 2.2) -------------------------------------------------------------------------------------------------

locals {
  bus_rules = merge(
    {
      created = {
        name        = "${var.env}-reservation-created"
        description = "Seats are held."
        pattern = {
          source      = [local.source]
          detail-type = ["Reservation Created"]
          detail      = { status = ["HOLD"] }
        }
      }
      status_changed = {
        name        = "${var.env}-reservation-status-changed"
        description = "A hold was confirmed, cancelled, or is over."
        pattern = {
          source      = [local.source]
          detail-type = ["Reservation Status Changed"]
          detail      = { status = ["CONFIRMED", "CANCELLED", "EXPIRED"] }
        }
      }
    },
    { for rule in var.forward == null ? [] : ["forward"] : rule => {
      name        = "${var.env}-reservation-events-forward"
      description = "Critical events, to another region."
      # A forwarded event keeps the region that it is from. Without it two buses would pass an event to and fro.
      pattern = { source = [local.source], detail-type = var.forward.detail_types, region = [local.region] }
    } },
  )

  expiry_rule_name = "${var.env}-reservation-expiry-scheduler"

  rule_arns = merge(
    { for key, rule in local.bus_rules : key => "arn:aws:events:${local.region}:${local.account}:rule/${local.bus_name}/${rule.name}" },
    { expiry = "arn:aws:events:${local.region}:${local.account}:rule/${local.expiry_rule_name}" },
  )
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.bus_rules

  name           = each.value.name
  description    = each.value.description
  event_bus_name = aws_cloudwatch_event_bus.this.name
  event_pattern  = jsonencode(each.value.pattern)
  tags           = var.tags
}

# A custom bus takes no schedules, so this rule is on the default one. A rule, and not a schedule of EventBridge Scheduler,
# because it is then like its siblings: the document lists it among the rules, Lambda lets it in by its ARN without a
# further role, and its failures are counted by the metrics that the alarms watch already.
resource "aws_cloudwatch_event_rule" "expiry" {
  name                = local.expiry_rule_name
  description         = "Expires holds that are past their end, whether or not a worker runs."
  schedule_expression = var.expiry_schedule
  state               = var.expiry_function == null ? "DISABLED" : "ENABLED"
  tags                = var.tags
}

# --- Queues: what reached no target (section 2.3), and what waits for consumers other than Lambda -------------------------

locals {
  processed = ["created", "status_changed"] # the rules whose events have targets here

  queue_senders = { dlq = sort(values(local.rule_arns)), events = [for rule in local.processed : local.rule_arns[rule]] }

  queue_policies = { for queue, arn in { dlq = local.dlq_arn, events = local.queue_arn } : queue => jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LetTheRulesSend"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = arn
        Condition = { ArnEquals = { "aws:SourceArn" = local.queue_senders[queue] } }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  }) }
}

resource "aws_sqs_queue" "dlq" {
  name                       = local.dlq_name
  message_retention_seconds  = var.dead_letter_queue.retention_seconds
  visibility_timeout_seconds = var.dead_letter_queue.visibility_timeout_seconds
  sqs_managed_sse_enabled    = true
  policy                     = local.queue_policies.dlq
  tags                       = var.tags

  # Of queues only the service's own may have its dead letters here; EventBridge and Lambda need no leave for it.
  redrive_allow_policy = jsonencode({ for key, value in {
    redrivePermission = var.events_queue == null ? "denyAll" : "byQueue"
    sourceQueueArns   = var.events_queue == null ? null : [local.queue_arn]
  } : key => value if value != null })
}

resource "aws_sqs_queue" "events" {
  for_each = { for queue in var.events_queue == null ? [] : ["queue"] : queue => var.events_queue }

  name                       = local.queue_name
  message_retention_seconds  = each.value.retention_seconds
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  receive_wait_time_seconds  = 20 # the longest poll: an idle consumer costs least, and still gets an event at once
  sqs_managed_sse_enabled    = true
  policy                     = local.queue_policies.events
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dlq.arn, maxReceiveCount = each.value.receives })
  tags                       = var.tags

  lifecycle {
    precondition {
      condition     = each.value.retention_seconds < var.dead_letter_queue.retention_seconds
      error_message = "A dead letter keeps the age that it had in its queue: with ${each.value.retention_seconds} seconds there it would be gone from the dead letters at once."
    }
  }
}

# --- The audit: every event in a log group ------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "audit" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself, and a key would have to let EventBridge in; no event holds a secret.
  # checkov:skip=CKV_AWS_338:Section 7.3 says 30 days; the archive has events for 365.

  for_each = toset(var.audit.enabled ? ["log"] : [])

  name              = "/aws/events/${local.bus_name}" # EventBridge's console knows groups of this prefix only
  retention_in_days = var.audit.retention_days
  tags              = var.tags
}

# EventBridge writes to logs by a policy of CloudWatch Logs; it takes no role for it.
resource "aws_cloudwatch_log_resource_policy" "audit" {
  for_each = aws_cloudwatch_log_group.audit

  policy_name = "${local.bus_name}-audit"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # A stream is made before there is an event, and so without a rule to know it by.
        Sid       = "LetEventBridgeMakeStreams"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:CreateLogStream"
        Resource  = "arn:aws:logs:${local.region}:${local.account}:log-group:${each.value.name}:*"
      },
      {
        Sid       = "LetTheRulesWrite"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:PutLogEvents"
        Resource  = "arn:aws:logs:${local.region}:${local.account}:log-group:${each.value.name}:*:*"
        Condition = { ArnEquals = { "aws:SourceArn" = [for rule in local.processed : local.rule_arns[rule]] } }
      },
    ]
  })
}

# --- The other region (section 8.2) -------------------------------------------------------------------------------------

resource "aws_iam_role" "forward" {
  for_each = toset(var.forward == null ? [] : ["bus"])

  name        = "${local.bus_name}-forward-${local.region}" # IAM has one set of names for all regions
  description = "What forwards critical events to the bus of another region."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ForwardingRule"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account
        "aws:SourceArn"     = local.rule_arns.forward
      } }
    }]
  })

  lifecycle {
    precondition {
      condition     = split(":", var.forward.bus_arn)[3] != local.region
      error_message = "${var.forward.bus_arn} is in ${local.region} as well: what is lost with this region is lost with it."
    }
  }
}

resource "aws_iam_role_policy" "forward" {
  for_each = aws_iam_role.forward

  name = "put-events"
  role = each.value.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "PutEvents", Effect = "Allow", Action = "events:PutEvents", Resource = var.forward.bus_arn }]
  })
}

# --- Targets ------------------------------------------------------------------------------------------------------------

locals {
  targets = merge(
    { for rule in var.event_processor_function == null ? [] : local.processed :
      "${rule}/event-processor" => { rule = rule, arn = var.event_processor_function.arn, role_arn = null }
    },
    { for rule in var.events_queue == null ? [] : local.processed :
      "${rule}/queue" => { rule = rule, arn = one(values(aws_sqs_queue.events)).arn, role_arn = null }
    },
    { for rule in var.audit.enabled ? local.processed : [] :
      "${rule}/audit" => { rule = rule, arn = one(values(aws_cloudwatch_log_group.audit)).arn, role_arn = null }
    },
    { for rule in var.forward == null ? [] : ["forward"] :
      "${rule}/bus" => { rule = rule, arn = var.forward.bus_arn, role_arn = one(values(aws_iam_role.forward)).arn }
    },
  )

  expiry_functions = { for target in var.expiry_function == null ? [] : ["expiry"] : target => var.expiry_function.arn }

  invoked = merge(
    { for rule in var.event_processor_function == null ? [] : local.processed : rule => var.event_processor_function.arn },
    local.expiry_functions,
  )
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.targets

  rule           = aws_cloudwatch_event_rule.this[each.value.rule].name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  target_id      = split("/", each.key)[1]
  arn            = each.value.arn
  role_arn       = each.value.role_arn

  retry_policy {
    maximum_event_age_in_seconds = var.retry.seconds
    maximum_retry_attempts       = var.retry.attempts
  }

  dead_letter_config {
    arn = aws_sqs_queue.dlq.arn
  }

  # What is matched before its target lets EventBridge in is a dead letter.
  depends_on = [aws_cloudwatch_log_resource_policy.audit, aws_iam_role_policy.forward, aws_lambda_permission.this]
}

resource "aws_cloudwatch_event_target" "expiry" {
  for_each = local.expiry_functions

  rule      = aws_cloudwatch_event_rule.expiry.name
  target_id = each.key
  arn       = each.value

  # A minute later the schedule starts the same work anew.
  retry_policy {
    maximum_event_age_in_seconds = 60 # the least that EventBridge takes
    maximum_retry_attempts       = 2
  }

  dead_letter_config {
    arn = aws_sqs_queue.dlq.arn
  }

  depends_on = [aws_lambda_permission.this]
}

resource "aws_lambda_permission" "this" {
  for_each = local.invoked

  statement_id = "eventbridge-${replace(each.key, "_", "-")}"
  action       = "lambda:InvokeFunction"

  # The ARN ends in function:NAME, or function:NAME:ALIAS.
  function_name = split(":", each.value)[6]
  qualifier     = try(split(":", each.value)[7], null)

  principal      = "events.amazonaws.com"
  source_account = local.account
  source_arn     = local.rule_arns[each.key]
}
