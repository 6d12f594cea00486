output "compute" {
  description = "What a job is submitted to."
  value       = "https://${azurerm_databricks_workspace.lake.workspace_url}"
}
