output "root" {
  description = "The value of LAKEHOUSE_ROOT."
  value       = trimsuffix("s3://${aws_s3_bucket.lake.id}/${var.prefix}", "/")
}

output "writer_policy_arn" {
  description = "For the role of what runs `lakehouse load`, `build`, `repair` and `maintain`."
  value       = aws_iam_policy.access["writer"].arn
}

output "reader_policy_arn" {
  description = "For who reads Silver and Gold."
  value       = aws_iam_policy.access["reader"].arn
}
