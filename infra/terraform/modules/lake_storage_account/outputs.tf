output "root" {
  description = "The value of LAKEHOUSE_ROOT; a folder below the container may follow."
  value       = "abfss://${azurerm_storage_container.lake.name}@${azurerm_storage_account.lake.name}.dfs.core.windows.net/lake"
}

output "container_id" {
  description = "The scope of roles on the lake."
  value       = azurerm_storage_container.lake.id
}

output "reader_condition" {
  description = "The condition of a reader's role: the folders of Gold and audit."
  value       = local.reader_condition
}

output "account_id" {
  description = "What a private endpoint leads to."
  value       = azurerm_storage_account.lake.id
}
