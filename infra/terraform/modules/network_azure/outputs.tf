output "network_id" {
  description = "What a site joins with the networks of its sources."
  value       = azurerm_virtual_network.lake.id
}

output "subnet_ids" {
  description = "Where jobs run."
  value       = [azurerm_subnet.jobs["host"].id, azurerm_subnet.jobs["container"].id]
}

output "endpoint_subnet_id" {
  description = "Where the lake and the vault get private addresses."
  value       = azurerm_subnet.endpoints.id
}

output "jobs" {
  description = "What a Databricks workspace is told of its subnets."
  value = {
    host                  = azurerm_subnet.jobs["host"].name
    container             = azurerm_subnet.jobs["container"].name
    host_association      = azurerm_subnet_network_security_group_association.jobs["host"].id
    container_association = azurerm_subnet_network_security_group_association.jobs["container"].id
  }
}
