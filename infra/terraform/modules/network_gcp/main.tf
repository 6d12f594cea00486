# A network in which jobs reach the lake and the secrets without public addresses.
# A site joins it with the networks of its sources (peering, VPN).

resource "google_compute_network" "lake" {
  name                    = "${var.name}-lake-${var.env}"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "jobs" {
  name                     = "${var.name}-lake-${var.env}-jobs"
  network                  = google_compute_network.lake.id
  region                   = var.region
  ip_cidr_range            = cidrsubnet(var.cidr, 2, 0)
  private_ip_google_access = true

  log_config {
    flow_sampling = 0.1
  }
}

# The driver and the executors of a batch speak to each other on any port.
resource "google_compute_firewall" "jobs" {
  name          = "${var.name}-lake-${var.env}-jobs"
  network       = google_compute_network.lake.id
  direction     = "INGRESS"
  source_ranges = [google_compute_subnetwork.jobs.ip_cidr_range]

  allow {
    protocol = "all"
  }
}
