output "lake_uri" {
  description = "The value of LAKEHOUSE_ROOT."
  value       = module.lake.root
}

output "secret_prefix" {
  description = "The value of LAKEHOUSE_SECRETS_PREFIX."
  value       = var.env
}

output "identity" {
  description = "By role (runner loads and builds, reader, steward): what a process or person acts as."
  value       = { for name, identity in azurerm_user_assigned_identity.access : name => identity.client_id }
}

output "vault" {
  description = "The value of LAKEHOUSE_SECRETS_VAULT."
  value       = azurerm_key_vault.lake.vault_uri
}

output "identity_ids" {
  description = "By role: the id of the managed identity, where a service is given it."
  value       = { for name, identity in azurerm_user_assigned_identity.access : name => identity.id }
}
