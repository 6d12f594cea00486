output "compute" {
  description = "What a job is submitted to."
  value       = "projects/${data.google_project.here.project_id}/locations/${var.region}"
}
