data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = var.changed ? ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"] : ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

data "aws_iam_policy_document" "tables" {
  statement {
    sid       = "Tables"
    actions   = var.changed ? ["dynamodb:GetItem"] : ["dynamodb:GetItem", "dynamodb:PutItem"]
    resources = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:*:table/dev-reservation-*"]
  }
}

resource "aws_iam_policy" "boundary" {
  name        = "boundary"
  description = "At most this"
  path        = "/service/"
  policy      = data.aws_iam_policy_document.tables.json
  tags        = { Policy = var.changed ? "changed" : "boundary" }
}

resource "aws_iam_role" "service" {
  name                 = "service"
  description          = var.changed ? null : "The service"
  path                 = "/service/"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = var.changed ? 3600 : 7200
  permissions_boundary = var.changed ? null : aws_iam_policy.boundary.arn
  tags                 = var.changed ? { Changed = "yes" } : { Role = "service" }
}

resource "aws_iam_role" "prefixed" {
  name_prefix        = "prefixed-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "tables" {
  name   = "tables"
  role   = aws_iam_role.service.id
  policy = data.aws_iam_policy_document.tables.json
}

resource "aws_iam_role_policy_attachment" "boundary" {
  role       = aws_iam_role.service.name
  policy_arn = aws_iam_policy.boundary.arn
}

resource "aws_iam_openid_connect_provider" "cluster" {
  url             = "https://oidc.eks.ap-northeast-2.amazonaws.com/id/ABC"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
  tags            = { Provider = var.changed ? "changed" : "cluster" }
}

data "aws_iam_openid_connect_provider" "cluster" {
  arn = aws_iam_openid_connect_provider.cluster.arn
}

resource "aws_kms_key" "data" {
  description             = var.changed ? "Changed" : "Data at rest"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  is_enabled              = !var.changed
  rotation_period_in_days = var.changed ? 90 : 180
  tags                    = { Key = var.changed ? "changed" : "data" }
}

resource "aws_kms_key" "other" {}

resource "aws_kms_alias" "data" {
  name          = "alias/data"
  target_key_id = var.changed ? aws_kms_key.other.arn : aws_kms_key.data.key_id
}

output "document" {
  value = data.aws_iam_policy_document.trust.json
}

output "url" {
  value = data.aws_iam_openid_connect_provider.cluster.url
}
