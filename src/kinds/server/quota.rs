//! What a server takes of the project's quotas.

use crate::kinds::call::Service;
use crate::kinds::erased::Intent;
use crate::kinds::flavor::{self, Flavor};
use crate::kinds::quota::{Demand, Nearby};

use super::spec::{Networks, Spec};
use super::{Object, id_in};

/// Of a flavor that was not seen nothing is known, and Nova has to say whether it fits.
pub(super) fn demand(
    intent: &Intent,
    spec: &Spec,
    server: Option<&Object>,
    nearby: &Nearby<'_>,
) -> Vec<Demand> {
    let flavor = |id: &str| nearby.get::<Flavor>(id);
    let wanted = spec.flavor_ref.id().and_then(flavor);
    match (intent, server) {
        (Intent::Create, _) => {
            let mut demands = vec![Demand::new(Service::Compute, "instances", 1)];
            demands.extend(wanted.into_iter().flat_map(|wanted| size(wanted, None)));
            let ports = match &spec.networks {
                Some(Networks::List(networks)) => networks.len() as u64,
                // Nova looks at the network's quota before it is told which network it is.
                Some(Networks::Auto) => 1,
                Some(Networks::None) | None => 0,
            };
            if ports > 0 {
                demands.push(Demand::new(Service::Network, "port", ports));
            }
            demands
        }
        (Intent::Act("flavorRef"), Some(server)) => {
            let there = id_in(&server.flavor).as_deref().and_then(flavor);
            match (wanted, there) {
                (Some(wanted), Some(there)) => size(wanted, Some(there)),
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// What a flavor takes more than the one before.
fn size(wanted: &flavor::Object, before: Option<&flavor::Object>) -> Vec<Demand> {
    let more =
        |of: fn(&flavor::Object) -> u32| u64::from(of(wanted).saturating_sub(before.map_or(0, of)));
    let demands = [
        Demand::new(Service::Compute, "cores", more(|it| it.vcpus)),
        Demand::new(Service::Compute, "ram", more(|it| it.ram)),
    ];
    demands.into_iter().filter(|it| it.amount > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::erased::Found;
    use crate::kinds::find;
    use serde_json::{Value, json};

    fn flavors() -> Vec<Found> {
        let look = |id: &str, vcpus: u32, ram: u32| {
            let item =
                json!({"id": id, "name": id, "vcpus": vcpus, "ram": ram, "disk": 1, "swap": ""});
            find("Flavor").unwrap().look(item).unwrap()
        };
        vec![
            look("small", 1, 512),
            look("wide", 4, 512),
            look("big", 4, 8192),
        ]
    }

    fn told(intent: &Intent, spec: Value, flavor: &str) -> Vec<(String, u64)> {
        let flavors = flavors();
        let seen = |kind: &'static str, id: &str| {
            flavors.iter().find(|it| kind == "Flavor" && it.id == id)
        };
        let kind = find("Server").unwrap();
        let item = json!({"id": "s", "status": "ACTIVE", "flavor": {"id": flavor}});
        let server = kind.look(item).unwrap();
        kind.demand(intent, &spec, Some(&server), &Nearby(&seen))
            .into_iter()
            .map(|it| (it.resource.into_owned(), it.amount))
            .collect()
    }

    fn rows(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
        rows.iter()
            .map(|(name, amount)| ((*name).to_owned(), *amount))
            .collect()
    }

    #[test]
    fn a_server_takes_its_flavor_and_the_ports_that_nova_makes() {
        let network = |id: &str| json!({"networkRef": {"id": id}});
        let spec = |networks: Value| json!({"flavorRef": {"id": "big"}, "networks": networks});
        let alone = [("instances", 1), ("cores", 4), ("ram", 8192)];
        assert_eq!(
            told(&Intent::Create, spec(json!("none")), "small"),
            rows(&alone)
        );
        let two = spec(json!([network("a"), network("b")]));
        assert_eq!(
            told(&Intent::Create, two, "small")[3],
            ("port".to_owned(), 2)
        );
        let unseen = json!({"flavorRef": {"id": "other"}, "ports": [{"portRef": {"id": "p"}}]});
        assert_eq!(
            told(&Intent::Create, unseen, "small"),
            rows(&[("instances", 1)])
        );
    }

    #[test]
    fn a_resize_takes_what_it_adds_and_nothing_else_takes_anything() {
        let spec = |id: &str| json!({"flavorRef": {"id": id}, "networks": "none"});
        let resize = Intent::Act("flavorRef");
        assert_eq!(told(&resize, spec("wide"), "small"), rows(&[("cores", 3)]));
        assert_eq!(told(&resize, spec("small"), "big"), []);
        assert_eq!(told(&resize, spec("other"), "small"), []);
        assert_eq!(told(&Intent::Act("powerState"), spec("big"), "small"), []);
        assert_eq!(told(&Intent::Delete, spec("big"), "small"), []);
    }
}
