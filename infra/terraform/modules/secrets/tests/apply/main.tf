# The secret for a role that is made in the same apply, and gone at once when it is destroyed.
resource "aws_iam_role" "execution" {
  name = "demo-reservation-api-execution-role"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
}

module "secrets" {
  source = "../.."

  env                  = "demo"
  reader_role_arns     = [aws_iam_role.execution.arn]
  recovery_window_days = 0
}

output "jwks" {
  value = module.secrets.jwks
}

output "reader" {
  value = aws_iam_role.execution.arn
}
