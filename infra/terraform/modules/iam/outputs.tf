output "service_role_arn" {
  description = "The role of the service's tasks or pods: the bus lets it put events."
  value       = aws_iam_role.service.arn
}

output "service_role_name" {
  description = "Name of the same."
  value       = aws_iam_role.service.name
}

output "function_roles" {
  description = "Role and function name by function: event_processor, expiry."
  value = { for function, role in aws_iam_role.function : function => {
    arn           = role.arn
    name          = role.name
    function_name = local.function_names[function]
  } }
}
