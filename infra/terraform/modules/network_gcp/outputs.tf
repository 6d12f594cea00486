output "network_id" {
  description = "What a site joins with the networks of its sources."
  value       = google_compute_network.lake.id
}

output "subnet_ids" {
  description = "Where jobs run."
  value       = [google_compute_subnetwork.jobs.id]
}
