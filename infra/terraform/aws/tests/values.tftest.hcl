# What a site's values make, and which are refused. The provider is a stand-in: nothing is asked and no login is needed.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
}

variables {
  name           = "company"
  env            = "dev"
  region         = "eu-central-1"
  retention_days = 7
  runner         = "arn:aws:iam::123456789012:role/company-lake-dev-runner"
}

run "a_reader_has_no_secret" {
  command = plan
  module {
    source = "../modules/aws"
  }
  assert {
    condition     = keys(aws_iam_role_policy.secrets) == ["runner", "steward"] && length(aws_iam_role.access) == 3
    error_message = "A reader has no secret."
  }
}

run "a_name_that_storage_does_not_take_is_refused" {
  command = plan
  module {
    source = "../modules/aws"
  }
  variables {
    name = "Company!"
  }
  expect_failures = [var.name]
}

run "an_environment_that_is_none_is_refused" {
  command = plan
  module {
    source = "../modules/aws"
  }
  variables {
    env = "test"
  }
  expect_failures = [var.env]
}

run "less_than_a_week_to_bring_back_what_was_deleted_is_refused" {
  command = plan
  module {
    source = "../modules/aws"
  }
  variables {
    retention_days = 1
  }
  expect_failures = [var.retention_days]
}

run "a_network_has_private_addresses_for_what_jobs_need" {
  command = plan
  module {
    source = "../modules/network_aws"
  }
  assert {
    condition     = toset([for each in aws_vpc_endpoint.service : each.service_name]) == toset([for name in ["secretsmanager", "sqs", "sts"] : "com.amazonaws.eu-central-1.${name}"])
    error_message = "Secrets Manager, SQS and STS have an endpoint each."
  }
  assert {
    condition     = aws_subnet.private[*].cidr_block == ["10.60.0.0/22", "10.60.4.0/22"]
    error_message = "Two subnets share the addresses."
  }
}

run "a_network_that_is_too_small_is_refused" {
  command = plan
  module {
    source = "../modules/network_aws"
  }
  variables {
    cidr = "10.60.0.0/24"
  }
  expect_failures = [var.cidr]
}

run "addresses_that_are_none_are_refused" {
  command = plan
  module {
    source = "../modules/network_aws"
  }
  variables {
    cidr = "10.60/20"
  }
  expect_failures = [var.cidr]
}

run "jobs_stop_at_the_most_processors" {
  command = plan
  module {
    source = "../modules/compute_aws"
  }
  variables {
    release    = "emr-8.0.0"
    most_vcpus = 16
  }
  assert {
    condition     = aws_emrserverless_application.lake.maximum_capacity[0].cpu == "16 vCPU" && aws_emrserverless_application.lake.maximum_capacity[0].memory == "64 GB"
    error_message = "16 processors have 64 GB."
  }
  assert {
    condition     = length(aws_emrserverless_application.lake.network_configuration) == 0
    error_message = "Without subnets jobs run in the cloud's own place."
  }
}

run "spark_without_a_release_is_refused" {
  command = plan
  module {
    source = "../modules/compute_aws"
  }
  expect_failures = [aws_emrserverless_application.lake]
}

run "too_few_processors_are_refused" {
  command = plan
  module {
    source = "../modules/compute_aws"
  }
  variables {
    release    = "emr-8.0.0"
    most_vcpus = 4
  }
  expect_failures = [var.most_vcpus]
}

run "subnets_without_a_security_group_are_refused" {
  command = plan
  module {
    source = "../modules/compute_aws"
  }
  variables {
    release    = "emr-8.0.0"
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.security_group_ids]
}
