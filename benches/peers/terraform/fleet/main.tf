# The fleet by OpenTofu or Terraform. Not tried yet: no machine so far had the provider.
terraform {
  required_providers {
    openstack = { source = "terraform-provider-openstack/openstack" }
  }
}

variable "cloud" {}
variable "manifests" {}
variable "fleet" { type = number }
variable "flavor" {}

provider "openstack" { cloud = var.cloud }

resource "openstack_networking_network_v2" "fleet" { name = "fleet" }

resource "openstack_networking_subnet_v2" "fleet" {
  name       = "fleet"
  network_id = openstack_networking_network_v2.fleet.id
  cidr       = "10.0.0.0/8"
}

resource "openstack_images_image_v2" "fleet" {
  name             = "fleet"
  local_file_path  = "${var.manifests}/images/ubuntu_server.qcow2"
  container_format = "bare"
  disk_format      = "qcow2"
}

resource "openstack_networking_port_v2" "p" {
  count       = var.fleet
  name        = "p${count.index}"
  description = "of s${count.index}"
  network_id  = openstack_networking_network_v2.fleet.id
  fixed_ip { subnet_id = openstack_networking_subnet_v2.fleet.id }
}

resource "openstack_blockstorage_volume_v3" "v" {
  count = var.fleet
  name  = "v${count.index}"
  size  = 1
}

resource "openstack_compute_instance_v2" "s" {
  count       = var.fleet
  name        = "s${count.index}"
  image_id    = openstack_images_image_v2.fleet.id
  flavor_name = var.flavor
  network { port = openstack_networking_port_v2.p[count.index].id }
}

resource "openstack_compute_volume_attach_v2" "a" {
  count       = var.fleet
  instance_id = openstack_compute_instance_v2.s[count.index].id
  volume_id   = openstack_blockstorage_volume_v3.v[count.index].id
}
