# The whole environment, beside what it is given: a certificate.
resource "aws_acm_certificate" "api" {
  domain_name       = "api.dev.traffic-tacos.com"
  validation_method = "DNS"
}

module "dev" {
  source = "../.."

  account_id      = "123456789012"
  image           = { uri = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  certificate_arn = aws_acm_certificate.api.arn
  lambda_package  = "${path.module}/../../../../modules/functions/tests/apply/empty.zip" # nothing runs it here
}

output "environment" {
  value = module.dev.environment
}

output "dead_letter_queue_url" {
  value = module.dev.dead_letter_queue_url
}
