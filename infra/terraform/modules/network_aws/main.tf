# A network without a way to the internet, in which jobs reach the lake, the secrets and the queues by private addresses.
# A site joins it with the networks of its sources (peering, transit gateway, VPN), and adds the routes.

locals {
  tags     = { system = "lakehouse", environment = var.env, Name = "${var.name}-lake-${var.env}" }
  services = toset(["secretsmanager", "sqs", "sts"])
}

data "aws_availability_zones" "here" {
  #checkov:skip=CKV_AWS_394:the first two are taken once; subnets ignore a later change of the list
  state = "available"
}

resource "aws_vpc" "lake" {
  #checkov:skip=CKV2_AWS_11:nothing leaves but by routes that the site adds, where it logs what passes
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = local.tags
}

# What names no group of its own reaches nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.lake.id
  tags   = local.tags
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.lake.id
  cidr_block        = cidrsubnet(var.cidr, 2, count.index)
  availability_zone = data.aws_availability_zones.here.names[count.index]
  tags              = local.tags

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.lake.id
  tags   = local.tags

  lifecycle {
    ignore_changes = [route] # those to the sources are the site's
  }
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.lake.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  tags              = local.tags
}

resource "aws_vpc_endpoint" "service" {
  for_each            = local.services
  vpc_id              = aws_vpc.lake.id
  service_name        = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = local.tags
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-lake-${var.env}-endpoints"
  description = "HTTPS from within the network"
  vpc_id      = aws_vpc.lake.id
  tags        = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id = aws_security_group.endpoints.id
  description       = "HTTPS from within the network"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}

resource "aws_security_group" "jobs" {
  #checkov:skip=CKV2_AWS_5:jobs of EMR Serverless get it by modules/compute_aws, which a site may leave out
  name        = "${var.name}-lake-${var.env}-jobs"
  description = "Jobs among themselves, and out to the sources"
  vpc_id      = aws_vpc.lake.id
  tags        = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "jobs" {
  security_group_id            = aws_security_group.jobs.id
  description                  = "Jobs among themselves"
  referenced_security_group_id = aws_security_group.jobs.id
  ip_protocol                  = "-1"
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "jobs" {
  security_group_id = aws_security_group.jobs.id
  description       = "To wherever the site adds a route: the network has none to the internet"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  tags              = local.tags
}
