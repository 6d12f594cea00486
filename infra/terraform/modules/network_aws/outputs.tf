output "network_id" {
  description = "What a site joins with the networks of its sources."
  value       = aws_vpc.lake.id
}

output "subnet_ids" {
  description = "Where jobs run."
  value       = aws_subnet.private[*].id
}

output "security_group_ids" {
  description = "What jobs are let out by."
  value       = [aws_security_group.jobs.id]
}
