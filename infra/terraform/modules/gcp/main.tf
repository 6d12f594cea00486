# A lake on Google: its bucket, the right to read its secrets, and a service account for each kind of user.
# Secrets are written by hand or by a rotation, as <env>-...: a value in Terraform would be in its state.

locals {
  labels = { system = "lakehouse", environment = var.env }
  lake   = "projects/_/buckets/${google_storage_bucket.lake.name}/objects/lake/"
  roles  = toset(["runner", "reader", "steward"])
  # by binding: `lakehouse grants --for gcs` prints the same paths
  storage = {
    runner-reads  = { role = "runner", grant = "roles/storage.objectViewer", paths = ["_lakehouse.json", "_demo"] }
    runner-writes = { role = "runner", grant = "roles/storage.objectUser", paths = ["bronze/", "quarantine/", "silver/", "gold/", "audit/", "ops/", "_mask_salt.json"] }
    reader        = { role = "reader", grant = "roles/storage.objectViewer", paths = ["_lakehouse.json", "_demo", "gold/", "audit/"] }
    steward       = { role = "steward", grant = "roles/storage.objectUser", paths = [""] }
  }
}

data "google_project" "here" {}

resource "google_storage_bucket" "lake" {
  #checkov:skip=CKV_GCP_62:who read what is told by data access audit logs of the project, whose place and cost are the site's
  name                        = "${var.name}-lake-${var.env}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = local.labels

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = var.retention_days * 86400
  }

  # only versions that were written over or deleted; never live objects: what a lake no longer needs, `lakehouse maintain` knows
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.retention_days
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_service_account" "access" {
  for_each     = local.roles
  account_id   = "${var.name}-${var.env}-${each.value}"
  display_name = "lakehouse ${var.env}: ${each.value}"
}

# The names of files are listed by all roles: a condition on paths cannot hold for a list of the bucket.
resource "google_storage_bucket_iam_member" "list" {
  for_each = local.roles
  bucket   = google_storage_bucket.lake.name
  role     = "roles/storage.legacyBucketReader"
  member   = "serviceAccount:${google_service_account.access[each.value].email}"
}

resource "google_storage_bucket_iam_member" "lake" {
  for_each = local.storage
  bucket   = google_storage_bucket.lake.name
  role     = each.value.grant
  member   = "serviceAccount:${google_service_account.access[each.value.role].email}"

  condition {
    title      = "lakehouse-${each.key}"
    expression = join(" || ", [for path in each.value.paths : "resource.name.startsWith('${local.lake}${path}')"])
  }
}

# A reader of Gold needs no secret: neither the sources' logins nor the salt.
resource "google_project_iam_member" "secrets" {
  for_each = toset(["runner", "steward"])
  project  = data.google_project.here.project_id
  role     = "roles/secretmanager.secretAccessor"
  member   = "serviceAccount:${google_service_account.access[each.value].email}"

  condition {
    title      = "lakehouse-${var.env}"
    expression = "resource.name.startsWith('projects/${data.google_project.here.number}/secrets/${var.env}-')"
  }
}

resource "google_service_account_iam_member" "acts" {
  for_each = merge(
    { for member in var.writers : "runner ${member}" => { role = "runner", member = member } },
    { for member in var.readers : "reader ${member}" => { role = "reader", member = member } },
  )
  service_account_id = google_service_account.access[each.value.role].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.member
}
