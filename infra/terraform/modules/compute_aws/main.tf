# Spark without servers: an application of EMR Serverless that starts with a job and stops when it rests. Jobs name the
# runner's role, which must trust the service: modules/aws with services = ["emr-serverless.amazonaws.com"].

locals {
  tags = { system = "lakehouse", environment = var.env, runner = reverse(split("/", var.runner))[0] }
}

resource "aws_emrserverless_application" "lake" {
  name          = "${var.name}-lake-${var.env}"
  type          = "spark"
  release_label = coalesce(var.release, "none")
  tags          = local.tags

  maximum_capacity {
    cpu    = "${var.most_vcpus} vCPU"
    memory = "${var.most_vcpus * 4} GB"
  }

  auto_start_configuration {
    enabled = true
  }

  auto_stop_configuration {
    enabled              = true
    idle_timeout_minutes = 15
  }

  dynamic "network_configuration" {
    for_each = length(var.subnet_ids) == 0 ? [] : [1]
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = var.release != null
      error_message = "Name the release of EMR: TF_VAR_release, one with Spark 4 (docs/spark.md)."
    }
  }
}
