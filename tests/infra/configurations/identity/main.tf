data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = var.changed ? ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"] : ["ecs-tasks.amazonaws.com"] }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
  tables = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Tables"
      Effect   = "Allow"
      Action   = var.changed ? ["dynamodb:GetItem"] : ["dynamodb:GetItem", "dynamodb:PutItem"]
      Resource = "arn:aws:dynamodb:${data.aws_region.current.region}:*:table/dev-reservation-*"
    }]
  })
}

resource "aws_iam_policy" "boundary" {
  name        = "boundary"
  description = "At most this"
  path        = "/service/"
  policy      = local.tables
  tags        = { Policy = var.changed ? "changed" : "boundary" }
}

resource "aws_iam_role" "service" {
  name                 = "service"
  description          = var.changed ? null : "The service"
  path                 = "/service/"
  assume_role_policy   = local.trust
  max_session_duration = var.changed ? 3600 : 7200
  permissions_boundary = var.changed ? null : aws_iam_policy.boundary.arn
  tags                 = var.changed ? { Changed = "yes" } : { Role = "service" }
}

resource "aws_iam_role" "prefixed" {
  name_prefix        = "prefixed-"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "tables" {
  name   = "tables"
  role   = aws_iam_role.service.id
  policy = local.tables
}

resource "aws_iam_role_policy_attachment" "boundary" {
  role       = aws_iam_role.service.name
  policy_arn = aws_iam_policy.boundary.arn
}
