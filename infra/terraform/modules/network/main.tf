data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

# Zones that one has to opt in to, and local zones, have no load balancers or no Fargate.
data "aws_availability_zones" "here" {
  # checkov:skip=CKV_AWS_394:new_vpc.zone_names pins them; without, any region does.

  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region
  prefix  = "${var.env}-reservation"
}

# --- A VPC of its own, if there is none -----------------------------------------------------------------------------------

locals {
  is_new = var.existing_vpc == null

  # AWS leaves out a zone that is impaired: with names that it tells, subnets would move in the very hour of an outage.
  zones_there = data.aws_availability_zones.here.names
  zone_names  = var.new_vpc.zone_names == null ? slice(local.zones_there, 0, min(var.new_vpc.zones, length(local.zones_there))) : var.new_vpc.zone_names

  # By zone: the private subnets get a sixteenth of the network each, for a task has an address of its own; the public
  # ones, for the balancer and NAT alone, a 256th at the network's end.
  zones = { for place, zone in local.is_new ? local.zone_names : [] : zone => {
    private = cidrsubnet(var.new_vpc.cidr_block, 4, place)
    public  = cidrsubnet(var.new_vpc.cidr_block, 8, 240 + place)
  } }

  # The zone of the NAT gateway that a zone's private subnet goes out by.
  nat_of = { for zone in var.new_vpc.nat == "none" ? [] : keys(local.zones) : zone => var.new_vpc.nat == "each_zone" ? zone : keys(local.zones)[0] }
  nats   = toset(values(local.nat_of))
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:Flow logs are the account's to have, for all of its VPCs; here each line would be paid for (section 7.3).

  for_each = toset(local.is_new ? ["vpc"] : [])

  cidr_block           = var.new_vpc.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true # endpoints answer to the services' own names
  tags                 = merge(var.tags, { Name = local.prefix })

  lifecycle {
    precondition {
      condition     = var.new_vpc.zone_names != null || length(local.zones_there) >= var.new_vpc.zones
      error_message = "${local.region} has ${length(local.zones_there)} zones, fewer than ${var.new_vpc.zones}."
    }
  }
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id            = local.vpc_id
  availability_zone = each.key
  cidr_block        = each.value.private
  tags              = merge(var.tags, { Name = "${local.prefix}-private-${each.key}" })
}

# Nothing but the balancer and NAT is here, and those have addresses of their own.
resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id                  = local.vpc_id
  availability_zone       = each.key
  cidr_block              = each.value.public
  map_public_ip_on_launch = false
  tags                    = merge(var.tags, { Name = "${local.prefix}-public-${each.key}" })
}

resource "aws_internet_gateway" "this" {
  for_each = aws_vpc.this

  vpc_id = each.value.id
  tags   = merge(var.tags, { Name = local.prefix })
}

resource "aws_route_table" "public" {
  for_each = aws_vpc.this

  vpc_id = each.value.id
  tags   = merge(var.tags, { Name = "${local.prefix}-public" })
}

resource "aws_route" "internet" {
  for_each = aws_route_table.public

  route_table_id         = each.value.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[each.key].id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public["vpc"].id
}

resource "aws_eip" "nat" {
  for_each = local.nats

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${local.prefix}-nat-${each.key}" })
}

resource "aws_nat_gateway" "this" {
  for_each = local.nats

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = merge(var.tags, { Name = "${local.prefix}-${each.key}" })

  depends_on = [aws_route.internet]
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = local.vpc_id
  tags   = merge(var.tags, { Name = "${local.prefix}-private-${each.key}" })
}

resource "aws_route" "nat" {
  for_each = local.nat_of

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.value].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

locals {
  vpc_id                  = local.is_new ? one(values(aws_vpc.this)).id : var.existing_vpc.vpc_id
  vpc_cidr_block          = local.is_new ? var.new_vpc.cidr_block : var.existing_vpc.cidr_block
  private_subnet_ids      = local.is_new ? [for subnet in aws_subnet.private : subnet.id] : var.existing_vpc.private_subnet_ids
  public_subnet_ids       = local.is_new ? [for subnet in aws_subnet.public : subnet.id] : var.existing_vpc.public_subnet_ids
  private_route_table_ids = local.is_new ? [for table in aws_route_table.private : table.id] : var.existing_vpc.private_route_table_ids
  reaches_internet        = local.is_new ? var.new_vpc.nat != "none" : var.existing_vpc.reaches_internet
}
