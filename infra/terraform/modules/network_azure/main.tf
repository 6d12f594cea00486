# A network for the jobs of Databricks, which go out by one address, and for private addresses of the lake and the vault.
# A site joins it with the networks of its sources (peering, VPN).

locals {
  tags = { system = "lakehouse", environment = var.env }
  jobs = { host = 0, container = 1 }
}

resource "azurerm_resource_group" "network" {
  name     = "${var.name}-network-${var.env}"
  location = var.region
  tags     = local.tags
}

resource "azurerm_virtual_network" "lake" {
  name                = "${var.name}-lake-${var.env}"
  resource_group_name = azurerm_resource_group.network.name
  location            = azurerm_resource_group.network.location
  address_space       = [var.cidr]
  tags                = local.tags
}

# Databricks writes the rules that it needs into this group, and the default ones keep the internet out.
resource "azurerm_network_security_group" "closed" {
  name                = "${var.name}-lake-${var.env}"
  resource_group_name = azurerm_resource_group.network.name
  location            = azurerm_resource_group.network.location
  tags                = local.tags

  lifecycle {
    ignore_changes = [security_rule]
  }
}

resource "azurerm_subnet" "jobs" {
  for_each                        = local.jobs
  name                            = each.key
  resource_group_name             = azurerm_resource_group.network.name
  virtual_network_name            = azurerm_virtual_network.lake.name
  address_prefixes                = [cidrsubnet(var.cidr, 2, each.value)]
  default_outbound_access_enabled = false

  delegation {
    name = "databricks"
    service_delegation {
      name = "Microsoft.Databricks/workspaces"
      actions = [
        "Microsoft.Network/virtualNetworks/subnets/join/action",
        "Microsoft.Network/virtualNetworks/subnets/prepareNetworkPolicies/action",
        "Microsoft.Network/virtualNetworks/subnets/unprepareNetworkPolicies/action",
      ]
    }
  }
}

resource "azurerm_subnet_network_security_group_association" "jobs" {
  for_each                  = local.jobs
  subnet_id                 = azurerm_subnet.jobs[each.key].id
  network_security_group_id = azurerm_network_security_group.closed.id
}

resource "azurerm_subnet" "endpoints" {
  name                            = "endpoints"
  resource_group_name             = azurerm_resource_group.network.name
  virtual_network_name            = azurerm_virtual_network.lake.name
  address_prefixes                = [cidrsubnet(var.cidr, 2, 2)]
  default_outbound_access_enabled = false
}

resource "azurerm_subnet_network_security_group_association" "endpoints" {
  subnet_id                 = azurerm_subnet.endpoints.id
  network_security_group_id = azurerm_network_security_group.closed.id
}

# Clusters without public addresses reach the control plane of Databricks by this one.
resource "azurerm_public_ip" "out" {
  name                = "${var.name}-lake-${var.env}-out"
  resource_group_name = azurerm_resource_group.network.name
  location            = azurerm_resource_group.network.location
  allocation_method   = "Static"
  sku                 = "Standard"
  tags                = local.tags
}

resource "azurerm_nat_gateway" "out" {
  name                = "${var.name}-lake-${var.env}"
  resource_group_name = azurerm_resource_group.network.name
  location            = azurerm_resource_group.network.location
  sku_name            = "Standard"
  tags                = local.tags
}

resource "azurerm_nat_gateway_public_ip_association" "out" {
  nat_gateway_id       = azurerm_nat_gateway.out.id
  public_ip_address_id = azurerm_public_ip.out.id
}

resource "azurerm_subnet_nat_gateway_association" "jobs" {
  for_each       = local.jobs
  subnet_id      = azurerm_subnet.jobs[each.key].id
  nat_gateway_id = azurerm_nat_gateway.out.id
}
