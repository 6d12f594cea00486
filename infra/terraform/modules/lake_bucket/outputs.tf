output "root" {
  description = "The value of LAKEHOUSE_ROOT."
  value       = trimsuffix("s3://${aws_s3_bucket.lake.id}/${var.prefix}", "/")
}

output "policy_arns" {
  description = "By role: loader, transformer, reader, steward. What runs `lakehouse run` needs the first two."
  value       = { for name, policy in aws_iam_policy.access : name => policy.arn }
}
