output "queue_urls" {
  description = "By side (conversations, results): the value of queue_url in its connection."
  value       = { for side, queue in aws_sqs_queue.live : side => queue.id }
}

output "dead_letter_urls" {
  description = "By side: where messages go that were received too often."
  value       = { for side, queue in aws_sqs_queue.dead : side => queue.id }
}

output "policy_arns" {
  description = "By who it is for: service sends conversations and receives results, worker does the opposite."
  value       = { for name, policy in aws_iam_policy.access : name => policy.arn }
}
