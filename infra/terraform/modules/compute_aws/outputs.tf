output "compute" {
  description = "What a job is submitted to."
  value       = aws_emrserverless_application.lake.id
}
