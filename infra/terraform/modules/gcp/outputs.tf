output "lake_uri" {
  description = "The value of LAKEHOUSE_ROOT."
  value       = "gs://${google_storage_bucket.lake.name}/lake"
}

output "secret_prefix" {
  description = "The value of LAKEHOUSE_SECRETS_PREFIX."
  value       = var.env
}

output "identity" {
  description = "By role (runner loads and builds, reader, steward): what a process or person acts as."
  value       = { for name, account in google_service_account.access : name => account.email }
}
