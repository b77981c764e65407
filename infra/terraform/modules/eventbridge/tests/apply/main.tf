# The bus with everything that it can have, as an environment calls it. The roles and functions are made in the same
# apply, so their ARNs are unknown to the plan.

module "iam" {
  source = "../../../iam"

  env             = "demo"
  event_processor = { runs_on = ["lambda", "ecs"] }
}

resource "aws_lambda_function" "this" {
  for_each = module.iam.function_roles

  function_name = each.value.function_name
  role          = each.value.arn
  package_type  = "Image"
  image_uri     = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api:demo"
}

module "eventbridge" {
  source = "../.."

  env                      = "demo"
  service_role_arn         = module.iam.service_role_arn
  publisher_role_arns      = [module.iam.function_roles["expiry"].arn]
  event_processor_function = { arn = aws_lambda_function.this["event_processor"].arn }
  expiry_function          = { arn = aws_lambda_function.this["expiry"].arn }
  events_queue             = {}
  forward                  = { bus_arn = "arn:aws:events:ap-northeast-1:123456789012:event-bus/demo-reservation-events" }
}

output "service_role_name" {
  value = module.iam.service_role_name
}

output "dead_letter_queue_url" {
  value = module.eventbridge.dead_letter_queue.url
}

output "events_queue_url" {
  value = module.eventbridge.events_queue.url
}
