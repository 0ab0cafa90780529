//! How Manila shows share networks in each microversion, and which microversion was asked for.

use serde_json::{Value, json};

use super::super::json::stamp_micros;
use super::super::request::Request;
use super::super::response::{Refusal, Response};
use super::super::world::{Account, World};
use super::{ShareNetwork, Subnet, VERSION};

impl World {
    /// The minor version that a request asks for; without the header it is the oldest.
    pub(super) fn share_version(&self, request: &Request) -> Result<u32, Refusal> {
        let newest = self.options.microversions.share;
        let Some(text) = request.header_value(&VERSION.to_ascii_lowercase()) else {
            return Ok(0);
        };
        let minor = text.strip_prefix("2.").and_then(|it| it.parse().ok());
        match minor {
            Some(minor) if minor <= newest => Ok(minor),
            _ => Err(Refusal::new(
                406,
                format!(
                    "Version {text} is not supported by the API. Minimum is 2.0 and maximum is 2.{newest}."
                ),
            )),
        }
    }

    pub(super) fn share_versions(&self) -> Value {
        let newest = self.options.microversions.share;
        json!({"versions": [{"id": "v2.0", "status": "CURRENT", "min_version": "2.0",
            "version": format!("2.{newest}"), "updated": "2015-08-27T11:33:21Z",
            "links": [{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
                {"rel": "self", "href": self.url("/share/v2/")}],
            "media-types": [{"base": "application/json",
                "type": "application/vnd.openstack.share+json;version=1"}]}]})
    }
}

impl ShareNetwork {
    pub(super) fn answer(&self, account: &Account, minor: u32) -> Response {
        Response::json(200, json!({"share_network": self.view(account, minor)}))
    }

    /// Until 2.50 the subnet for all zones is shown as the network's own.
    pub(super) fn view(&self, account: &Account, minor: u32) -> Value {
        let mut view = json!({"id": self.id, "name": self.name, "description": self.description,
            "project_id": self.project_id, "created_at": stamp_micros(self.created),
            "updated_at": self.updated.map(stamp_micros)});
        let subnets: Vec<Value> = self.subnets.iter().map(|it| it.view(account)).collect();
        if minor >= 51 {
            view["share_network_subnets"] = json!(subnets);
        } else {
            let of_all = subnets.iter().find(|it| it["availability_zone"].is_null());
            for name in [
                "neutron_net_id",
                "neutron_subnet_id",
                "network_type",
                "segmentation_id",
                "cidr",
                "ip_version",
            ] {
                view[name] = of_all.map_or(Value::Null, |it| it[name].clone());
            }
        }
        if minor < 26 {
            view["nova_net_id"] = Value::Null;
        }
        if minor >= 63 {
            view["status"] = json!("active");
            view["security_service_update_support"] = json!(true);
        }
        if minor >= 70 {
            view["network_allocation_update_support"] = json!(true);
        }
        view
    }
}

impl Subnet {
    /// What kind of network it is, only administrators see.
    pub(super) fn view(&self, account: &Account) -> Value {
        let known = |value: Value| if self.in_use { value } else { Value::Null };
        let secret = |value: Value| {
            if account.admin {
                known(value)
            } else {
                Value::Null
            }
        };
        json!({"id": self.id, "availability_zone": self.zone, "neutron_net_id": self.network,
            "neutron_subnet_id": self.subnet, "created_at": stamp_micros(self.created),
            "updated_at": null, "network_type": secret(json!("vxlan")),
            "segmentation_id": secret(json!(1234)), "ip_version": known(json!(4)),
            "cidr": known(json!("10.0.0.0/24")), "gateway": known(json!("10.0.0.1")),
            "mtu": known(json!(1450))})
    }
}
