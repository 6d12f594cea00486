# Dataproc Serverless has nothing that stands: its service is switched on, and the runner may be what a batch acts as.

locals {
  # a batch names its subnetwork when it is submitted: this says early that one of another region was given
  is_here = alltrue([for id in var.subnet_ids : strcontains(id, "/regions/${var.region}/")])
}

data "google_project" "here" {}

resource "google_project_service" "dataproc" {
  service            = "dataproc.googleapis.com"
  disable_on_destroy = false

  lifecycle {
    precondition {
      condition     = local.is_here
      error_message = "The subnetworks lie in another region than the jobs (region)."
    }
  }
}

# It may also read and write the objects of every bucket of the project, so the lake has a project of its own.
resource "google_project_iam_member" "worker" {
  project = data.google_project.here.project_id
  role    = "roles/dataproc.worker"
  member  = "serviceAccount:${var.runner}"
}
