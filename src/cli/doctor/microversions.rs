//! Microversions: what of the manifests a cloud is too old for.
//!
//! Every request says itself what it needs (`Call::microversion`); the table here is for people who
//! have not declared it yet. A test holds it against the requests.

use crate::kinds::call::Service;

/// Something that came with a microversion.
pub(super) struct Since {
    pub(super) service: Service,
    pub(super) version: (u16, u16),
    pub(super) what: &'static str,
}

const fn since(service: Service, version: (u16, u16), what: &'static str) -> Since {
    Since {
        service,
        version,
        what,
    }
}

/// What not every cloud can do.
pub(super) const SINCE: &[Since] = &[
    since(Service::Compute, (2, 2), "KeyPair.type"),
    since(Service::Compute, (2, 19), "Server.description"),
    since(Service::Compute, (2, 37), "Server.networks: auto or none"),
    since(Service::Compute, (2, 42), "Server.bootVolume.tag"),
    since(Service::Compute, (2, 52), "Server.tags"),
    since(Service::Compute, (2, 55), "Flavor.description"),
    since(Service::Compute, (2, 64), "ServerGroup"),
    since(
        Service::BlockStorage,
        (3, 42),
        "Volume.size of one that is attached",
    ),
];

/// What a service that ends at this version cannot do.
pub(super) fn missing(service: Service, newest: (u16, u16)) -> Vec<&'static Since> {
    let is_missing = |it: &&Since| it.service == service && it.version > newest;
    SINCE.iter().filter(is_missing).collect()
}

/// A version as it is written.
pub(super) fn shown((major, minor): (u16, u16)) -> String {
    format!("{major}.{minor}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::kinds::erased::Intent;
    use crate::kinds::marker::Owner;
    use crate::kinds::need::Material;
    use crate::kinds::{self, Birth};
    use crate::manifest::Key;

    /// The oldest version with which a spec can be created.
    fn floor(kind: &str, spec: &Value) -> (u16, u16) {
        let kind = kinds::find(kind).unwrap();
        let key = Key::new(kind.name(), "default", "x");
        let birth = Birth {
            name: "x",
            marker: Owner(Uuid::nil()).marker(&key, 1),
            object: "x",
            id: Uuid::nil(),
            material: &Material::default(),
        };
        let call = kind.request(&Intent::Create, spec, None, &birth).unwrap();
        call.microversion.unwrap().floor
    }

    #[test]
    fn the_table_is_what_the_requests_say() {
        let id = json!({"id": "1"});
        let server = |field: &str, value: Value| {
            let mut spec =
                json!({"flavorRef": id, "imageRef": id, "networks": [{"networkRef": id}]});
            spec[field] = value;
            floor("Server", &spec)
        };
        let boot = json!({"volumeRef": id, "tag": "root"});
        let policy = json!({"policy": "affinity"});
        let found = [
            (
                "KeyPair.type",
                floor("KeyPair", &json!({"publicKey": "k", "type": "ssh"})),
            ),
            ("Server.description", server("description", json!("d"))),
            (
                "Server.networks: auto or none",
                server("networks", json!("auto")),
            ),
            ("Server.bootVolume.tag", server("bootVolume", boot)),
            ("Server.tags", server("tags", json!(["t"]))),
            (
                "Flavor.description",
                floor(
                    "Flavor",
                    &json!({"ram": 1, "vcpus": 1, "disk": 1, "description": "d"}),
                ),
            ),
            ("ServerGroup", floor("ServerGroup", &policy)),
        ];
        for row in SINCE.iter().filter(|row| row.service == Service::Compute) {
            let floor = found
                .iter()
                .find(|(what, _)| *what == row.what)
                .map(|it| it.1);
            assert_eq!(floor, Some(row.version), "{}", row.what);
        }
    }

    #[test]
    fn an_old_cloud_lacks_what_came_later() {
        let what = |newest| -> Vec<&str> {
            let missing = missing(Service::Compute, newest);
            missing.iter().map(|it| it.what).collect()
        };
        assert_eq!(what((2, 90)), [""; 0]);
        assert_eq!(what((2, 60)), ["ServerGroup"]);
        assert_eq!(what((2, 1)).len(), 7);
    }
}
