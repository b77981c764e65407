data "aws_availability_zones" "here" {
  state = "available"
}

data "aws_region" "current" {}

data "aws_ec2_managed_prefix_list" "dynamodb" {
  name = "com.amazonaws.${data.aws_region.current.region}.dynamodb"
}

resource "aws_vpc" "this" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = !var.changed
  tags                 = { Name = var.changed ? "changed" : "reservation" }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.this.id
  availability_zone       = data.aws_availability_zones.here.names[count.index]
  cidr_block              = cidrsubnet(aws_vpc.this.cidr_block, 4, count.index)
  map_public_ip_on_launch = !var.changed
  tags                    = { Name = "public-${count.index}" }
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.this.id
  availability_zone = data.aws_availability_zones.here.names[count.index]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 4, 8 + count.index)
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = var.changed ? {} : { Name = "reservation" }
}

resource "aws_eip" "nat" {
  domain = "vpc"
  tags   = { Name = var.changed ? "changed" : "nat" }
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = var.changed ? "changed" : "nat" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "public" }
}

resource "aws_route_table" "inline" {
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = var.changed ? "10.1.0.0/16" : "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route" "nat" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = var.changed ? null : aws_nat_gateway.this.id
  gateway_id             = var.changed ? aws_internet_gateway.this.id : null
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = var.changed ? aws_route_table.inline.id : aws_route_table.public.id
}

resource "aws_security_group" "api" {
  name        = "api"
  description = "The service"
  vpc_id      = aws_vpc.this.id
  tags        = { Name = "api" }
}

resource "aws_security_group" "inline" {
  name_prefix = "inline-"
  vpc_id      = aws_vpc.this.id

  ingress {
    description     = "HTTP"
    from_port       = var.changed ? 8081 : 8080
    to_port         = var.changed ? 8081 : 8080
    protocol        = "tcp"
    security_groups = [aws_security_group.api.id]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.changed ? "changed" : "default" }

  ingress {
    from_port = var.changed ? 8081 : 8080
    to_port   = var.changed ? 8081 : 8080
    protocol  = "tcp"
    self      = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  security_group_id            = aws_security_group.api.id
  description                  = "From the balancer"
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
  referenced_security_group_id = aws_security_group.inline.id
  tags                         = var.changed ? { Rule = "changed" } : { Rule = "api" }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.api.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = var.changed ? "10.0.0.0/20" : "10.0.0.0/16"
}

resource "aws_vpc_security_group_egress_rule" "dynamodb" {
  security_group_id = aws_security_group.api.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = data.aws_ec2_managed_prefix_list.dynamodb.id
  description       = "To the tables"
}

resource "aws_security_group" "open" {
  name   = "open"
  vpc_id = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.open.id
  ip_protocol       = "-1"
  cidr_ipv4         = "10.0.0.0/8"
}

resource "aws_vpc_endpoint" "dynamodb" {
  vpc_id          = aws_vpc.this.id
  service_name    = "com.amazonaws.${data.aws_region.current.region}.dynamodb"
  route_table_ids = [aws_route_table.private.id]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Tables"
      Effect    = "Allow"
      Principal = "*"
      Action    = var.changed ? "dynamodb:GetItem" : "dynamodb:*"
      Resource  = "arn:aws:dynamodb:*:*:table/dev-reservation-*"
    }]
  })
  tags = { Name = "dynamodb" }
}

resource "aws_vpc_endpoint" "events" {
  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.region}.events"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = var.changed ? [aws_security_group.open.id] : [aws_security_group.api.id]
}
