output "root" {
  description = "The value of LAKEHOUSE_ROOT; a folder below the container may follow."
  value       = "abfss://${azurerm_storage_container.lake.name}@${azurerm_storage_account.lake.name}.dfs.core.windows.net/lake"
}
