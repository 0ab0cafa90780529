# manifests/wordpress by OpenTofu or Terraform. Not tried yet: no machine so far had the provider.
terraform {
  required_providers {
    openstack = { source = "terraform-provider-openstack/openstack" }
  }
}

variable "cloud" {}
variable "manifests" {}

provider "openstack" { cloud = var.cloud }

locals {
  # The scripts have their values in braces, which are not those of templatefile.
  db_script = replace(replace(replace(replace(file("${var.manifests}/db.sh"),
    "{{ device }}", "/dev/vdb"), "{{ db_name }}", "blog"), "{{ db_user }}", "wordpress"),
  "{{ db_password }}", "change-me-database")
  blog_script = replace(replace(replace(replace(replace(replace(file("${var.manifests}/blog.sh"),
    "{{ db_host }}", openstack_networking_port_v2.db.all_fixed_ips[0]), "{{ db_name }}", "blog"),
    "{{ db_user }}", "wordpress"), "{{ db_password }}", "change-me-database"), "{{ title }}", "The AUTO-DEP blog"),
  "{{ admin_password }}", "change-me-admin")
  rules = { ssh = [22, null], http = [80, null], mysql = [3306, "192.168.50.0/24"] }
}

data "openstack_networking_network_v2" "public" { external = true }

data "openstack_compute_flavor_v2" "small" { disk = 20 }

resource "openstack_images_image_v2" "ubuntu" {
  name             = "ubuntu_server"
  local_file_path  = "${var.manifests}/images/ubuntu_server.qcow2"
  container_format = "bare"
  disk_format      = "qcow2"
}

resource "openstack_blockstorage_volume_v3" "mysql" {
  name              = "mysql-volume"
  description       = "backup volume of mysql server."
  size              = 5
  volume_type       = "lvmdriver-1"
  availability_zone = "nova"
}

resource "openstack_networking_network_v2" "net" {
  name        = "auto-dep-net"
  description = "network of the blog and its database"
}

resource "openstack_networking_subnet_v2" "subnet" {
  name       = "auto-dep-subnet"
  network_id = openstack_networking_network_v2.net.id
  cidr       = "192.168.50.0/24"
}

resource "openstack_networking_router_v2" "router" {
  name                = "auto-dep-router"
  external_network_id = data.openstack_networking_network_v2.public.id
}

resource "openstack_networking_router_interface_v2" "interface" {
  router_id = openstack_networking_router_v2.router.id
  subnet_id = openstack_networking_subnet_v2.subnet.id
}

resource "openstack_networking_secgroup_v2" "group" {
  name        = "auto-dep"
  description = "ssh and http from anywhere, mysql from the subnet"
}

resource "openstack_networking_secgroup_rule_v2" "in" {
  for_each          = local.rules
  security_group_id = openstack_networking_secgroup_v2.group.id
  description       = each.key
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.value[0]
  port_range_max    = each.value[0]
  remote_ip_prefix  = each.value[1]
}

resource "openstack_networking_port_v2" "db" {
  name               = "db-port"
  network_id         = openstack_networking_network_v2.net.id
  security_group_ids = [openstack_networking_secgroup_v2.group.id]
  fixed_ip { subnet_id = openstack_networking_subnet_v2.subnet.id }
}

resource "openstack_networking_port_v2" "blog" {
  name               = "blog-port"
  network_id         = openstack_networking_network_v2.net.id
  security_group_ids = [openstack_networking_secgroup_v2.group.id]
  fixed_ip { subnet_id = openstack_networking_subnet_v2.subnet.id }
}

resource "openstack_compute_keypair_v2" "key" {
  name       = "jmilkfan-keypair"
  public_key = trimspace(file("${var.manifests}/id_rsa.pub"))
}

resource "openstack_compute_instance_v2" "db" {
  name      = "AUTO-DEP-DB"
  image_id  = openstack_images_image_v2.ubuntu.id
  flavor_id = data.openstack_compute_flavor_v2.small.id
  key_pair  = openstack_compute_keypair_v2.key.name
  metadata  = { role = "database" }
  user_data = local.db_script
  network { port = openstack_networking_port_v2.db.id }
}

resource "openstack_compute_volume_attach_v2" "mysql" {
  instance_id = openstack_compute_instance_v2.db.id
  volume_id   = openstack_blockstorage_volume_v3.mysql.id
  device      = "/dev/vdb"
}

resource "openstack_compute_instance_v2" "blog" {
  name      = "AUTO-DEP-BLOG"
  image_id  = openstack_images_image_v2.ubuntu.id
  flavor_id = data.openstack_compute_flavor_v2.small.id
  key_pair  = openstack_compute_keypair_v2.key.name
  metadata  = { role = "blog" }
  user_data = local.blog_script
  network { port = openstack_networking_port_v2.blog.id }
}

resource "openstack_networking_floatingip_v2" "address" {
  pool        = data.openstack_networking_network_v2.public.name
  description = "address of the blog"
  port_id     = openstack_networking_port_v2.blog.id
  depends_on  = [openstack_networking_router_interface_v2.interface]
}
