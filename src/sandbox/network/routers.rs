//! Routers: gateway and extra routes.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, boolean, text, text_or_empty};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::addresses::cidr_of;
use super::kind::Kind;
use super::networks::apply;
use super::{bad_request, no_route};

impl World {
    pub(super) fn create_router(
        &mut self,
        account: &Account,
        mut record: Object,
        mut wanted: Object,
    ) -> Result<String, Refusal> {
        let gateway = wanted.remove("external_gateway_info");
        let defaults = json!({"name": "", "admin_state_up": true, "status": "ACTIVE", "external_gateway_info": null,
            "availability_zones": [], "availability_zone_hints": [], "routes": [], "flavor_id": null, "ha": false,
            "distributed": false});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        apply(&mut record, wanted)?;
        record.insert("revision_number".into(), json!(1));
        let id = text_or_empty(&record, "id").to_owned();
        if let Some(gateway) = gateway.filter(|g| !g.is_null()) {
            let info = self.gateway(account, &id, &gateway)?;
            record.insert("external_gateway_info".into(), info);
        }
        Ok(self.keep(Kind::Router, record))
    }

    pub(super) fn update_router(
        &mut self,
        account: &Account,
        id: &str,
        mut wanted: Object,
    ) -> Result<(), Refusal> {
        if let Some(routes) = wanted.get("routes") {
            self.check_routes(id, routes)?;
        }
        let gateway = wanted.remove("external_gateway_info");
        let Some(record) = self.record(Kind::Router, id) else {
            return Ok(());
        };
        let mut draft = record.clone();
        apply(&mut draft, wanted)?;
        if let Some(gateway) = gateway {
            let before = draft["external_gateway_info"].clone();
            let same_network = before["network_id"] == gateway["network_id"] && !gateway.is_null();
            if !same_network {
                self.check_gateway_unused(id, before["network_id"].as_str().unwrap_or(""))?;
            }
            let unchanged = same_network && gateway.get("external_fixed_ips").is_none();
            let info = if gateway.is_null() || gateway.as_object().is_some_and(Object::is_empty) {
                self.release_addresses(id);
                Value::Null
            } else if unchanged {
                let mut info = before;
                if let Some(snat) = gateway.get("enable_snat").and_then(boolean) {
                    info["enable_snat"] = json!(snat);
                }
                info
            } else {
                self.release_addresses(id);
                self.gateway(account, id, &gateway)?
            };
            draft.insert("external_gateway_info".into(), info);
        }
        self.keep(Kind::Router, draft);
        Ok(())
    }

    pub(super) fn delete_router(&mut self, id: &str) -> Result<(), Refusal> {
        let ports: Vec<&str> = self
            .interfaces_of(id)
            .map(|p| text_or_empty(p, "id"))
            .collect();
        if !ports.is_empty() {
            return Err(Refusal::of(
                409,
                "RouterInUse",
                format!("Router {id} has ports still attached: {}", ports.join(", ")),
            ));
        }
        let network = self
            .record(Kind::Router, id)
            .and_then(|r| r["external_gateway_info"]["network_id"].as_str());
        self.check_gateway_unused(id, network.unwrap_or(""))
    }

    pub(super) fn router_action(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
        action: &str,
    ) -> Answer {
        self.record_owned(Kind::Router, account, id)?;
        let body = request.body_json().unwrap_or_default();
        let body = body.as_object().cloned().unwrap_or_default();
        match (&request.method, action) {
            (&Method::PUT, "add_router_interface") => {
                let answer = self.add_router_interface(account, id, &body)?;
                Ok(Response::json(200, answer))
            }
            (&Method::PUT, "remove_router_interface") => {
                let answer = self.remove_router_interface(id, &body)?;
                Ok(Response::json(200, answer))
            }
            (&Method::PUT, "add_extraroutes" | "remove_extraroutes") => {
                let given = body
                    .get("router")
                    .and_then(|r| r["routes"].as_array())
                    .cloned()
                    .unwrap_or_default();
                let have = self
                    .record(Kind::Router, id)
                    .and_then(|r| r["routes"].as_array())
                    .cloned()
                    .unwrap_or_default();
                let mut routes: Vec<Value> =
                    have.into_iter().filter(|r| !given.contains(r)).collect();
                if action == "add_extraroutes" {
                    routes.extend(given);
                }
                let wanted = Object::from_iter([("routes".to_owned(), Value::Array(routes))]);
                self.update_router(account, id, wanted)?;
                self.touch(Kind::Router, id);
                Ok(Response::json(
                    200,
                    json!({"router": self.record(Kind::Router, id)}),
                ))
            }
            _ => Err(no_route()),
        }
    }

    /// Ports by which a router is on subnets.
    pub(super) fn interfaces_of(&self, router: &str) -> impl Iterator<Item = &Object> {
        self.table(Kind::Port).filter(move |p| {
            text(p, "device_id") == Some(router)
                && text(p, "device_owner") == Some("network:router_interface")
        })
    }

    /// Allocates the gateway's address; gives what the record shows.
    fn gateway(
        &mut self,
        account: &Account,
        router: &str,
        wanted: &Value,
    ) -> Result<Value, Refusal> {
        let network_id = wanted["network_id"].as_str().unwrap_or("").to_owned();
        let network = self.record_shown(Kind::Network, account, &network_id)?;
        if network["router:external"] != true {
            return Err(Refusal::of(
                400,
                "BadRequest",
                format!("Bad router request: Network {network_id} is not an external network."),
            ));
        }
        let fixed = wanted
            .get("external_fixed_ips")
            .filter(|f| f.as_array().is_some_and(|f| !f.is_empty()));
        let fixed = self.allocate(&network_id, fixed, router)?;
        Ok(
            json!({"network_id": network_id, "external_fixed_ips": fixed,
            "enable_snat": wanted.get("enable_snat").and_then(boolean).unwrap_or(true)}),
        )
    }

    fn check_gateway_unused(&self, router: &str, network: &str) -> Result<(), Refusal> {
        let used = self.table(Kind::FloatingIp).any(|f| {
            text(f, "router_id") == Some(router) && text(f, "floating_network_id") == Some(network)
        });
        if !used {
            return Ok(());
        }
        Err(Refusal::of(
            409,
            "RouterExternalGatewayInUseByFloatingIp",
            format!(
                "Gateway cannot be updated for router {router}, since a gateway to external network {network} is required by \
             one or more floating IPs."
            ),
        ))
    }

    fn check_routes(&self, router: &str, routes: &Value) -> Result<(), Refusal> {
        let routes = routes
            .as_array()
            .ok_or_else(|| bad_request("Invalid input for routes. Reason: not a list."))?;
        for route in routes {
            let destination = route["destination"]
                .as_str()
                .filter(|d| d.parse::<ipnet::IpNet>().is_ok());
            let hop = route["nexthop"]
                .as_str()
                .and_then(|h| h.parse::<std::net::IpAddr>().ok());
            let (Some(_), Some(hop)) = (destination, hop) else {
                return Err(bad_request(format!(
                    "Invalid input for routes. Reason: {route} is not a valid route."
                )));
            };
            let reachable = self
                .interfaces_of(router)
                .flat_map(|p| p["fixed_ips"].as_array().into_iter().flatten())
                .filter_map(|f| self.record(Kind::Subnet, f["subnet_id"].as_str()?))
                .any(|s| cidr_of(s).is_some_and(|c| c.contains(&hop)))
                || self
                    .record(Kind::Router, router)
                    .and_then(|r| r["external_gateway_info"]["network_id"].as_str())
                    .is_some_and(|n| self.subnet_of(n, hop).is_some());
            if !reachable {
                return Err(Refusal::of(
                    400,
                    "InvalidRoutes",
                    format!(
                        "Invalid format for routes: [{route}], the nexthop is not connected with router"
                    ),
                ));
            }
        }
        Ok(())
    }
}
