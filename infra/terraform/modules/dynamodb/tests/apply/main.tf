# The module as an environment calls it, with nothing that keeps it from being destroyed again.
module "dynamodb" {
  source = "../.."

  env        = "demo"
  production = false
}

output "table_names" {
  value = module.dynamodb.table_names
}
