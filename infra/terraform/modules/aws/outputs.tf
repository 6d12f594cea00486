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
  value       = { for name, role in aws_iam_role.access : name => role.arn }
}
