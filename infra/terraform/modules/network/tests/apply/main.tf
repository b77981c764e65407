# A VPC with both ways out, and with everything that is off by default.
module "network" {
  source = "../.."

  env          = "demo"
  new_vpc      = { nat = "each_zone" }
  grpc_clients = { cidr_blocks = ["10.20.0.0/20"] }
}

output "vpc_id" {
  value = module.network.vpc.id
}

output "private_subnet_ids" {
  value = module.network.private_subnet_ids
}

output "security_group_ids" {
  value = module.network.security_group_ids
}
