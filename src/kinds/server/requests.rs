//! What is sent to Nova about a server.

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::kinds::call::{Call, Method, Microversion, Service, segment};
use crate::kinds::marker::{BOOT_VOLUME_KEY, IMAGE_KEY, MARKER_KEY, OBJECT_KEY, USER_DATA_KEY};
use crate::kinds::{Birth, COMPUTE, Element, Refusal};
use crate::manifest::Ref;

use super::spec::{Network, Networks, SchedulerHints, Spec};
use super::{Action, Object, power, user_data};

/// Oldest microversions of what a request may hold.
mod since {
    pub(super) const DESCRIPTION: (u16, u16) = (2, 19);
    pub(super) const TAGS: (u16, u16) = (2, 26);
    pub(super) const NETWORK_WORDS: (u16, u16) = (2, 37);
    pub(super) const DEVICE_TAGS: (u16, u16) = (2, 42);
    pub(super) const TAGS_AT_BIRTH: (u16, u16) = (2, 52);
}

pub(super) fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
    let mut floor = COMPUTE.floor;
    let mut server = Map::new();
    let mut put = |key: &str, value: Value, since: (u16, u16)| {
        floor = floor.max(since);
        server.insert(key.to_owned(), value);
    };
    let always = COMPUTE.floor;
    put("name", json!(birth.name), always);
    put("flavorRef", json!(spec.flavor_ref.id()), always);
    put(
        "metadata",
        Value::Object(birth_metadata(spec, birth)),
        always,
    );
    if let Some(image) = &spec.image_ref {
        put("imageRef", json!(image.id()), always);
    }
    if let Some(boot) = &spec.boot_volume {
        let mut device = json!({
            "boot_index": 0, "source_type": "volume", "destination_type": "volume",
            "uuid": boot.volume_ref.id(), "delete_on_termination": false
        });
        if let Some(tag) = &boot.tag {
            device["tag"] = json!(tag);
        }
        let since = if boot.tag.is_some() {
            since::DEVICE_TAGS
        } else {
            always
        };
        put("block_device_mapping_v2", json!([device]), since);
    }
    let (networks, networks_since) = networks(spec);
    put("networks", networks, networks_since);
    if let Some(groups) = &spec.security_group_refs {
        // The name may be an id.
        let groups: Vec<Value> = groups.iter().map(|it| json!({"name": it.id()})).collect();
        put("security_groups", json!(groups), always);
    }
    if let Some(keypair) = &spec.keypair_ref {
        put("key_name", json!(keypair.id()), always);
    }
    if let Some(zone) = &spec.availability_zone {
        put("availability_zone", json!(zone), always);
    }
    if let Some(config_drive) = spec.config_drive {
        put("config_drive", json!(config_drive), always);
    }
    if let Some(description) = &spec.description {
        put("description", json!(description), since::DESCRIPTION);
    }
    if let Some(tags) = spec.tags.as_ref().filter(|tags| !tags.is_empty()) {
        put("tags", json!(tags), since::TAGS_AT_BIRTH);
    }
    if let Some(text) = birth.material.0.get(user_data::MATERIAL) {
        put("user_data", json!(text.expose_secret()), always);
    }
    let mut body = json!({ "server": server });
    if let Some(hints) = &spec.scheduler_hints {
        body["os:scheduler_hints"] = scheduler_hints(hints);
    }
    Call::new(Service::Compute, Method::Post, "servers", "servers")
        .at(Some(Microversion { floor, ..COMPUTE }))
        .json(body)
}

/// The Image object that its disk is made from, and that one's id at the time: after a rebuild by
/// somebody else they do not go together any more.
pub(super) fn image_note(spec: &Spec) -> Option<String> {
    let id = spec.image_ref.as_ref()?.id()?;
    let note = format!("{} {id}", spec.image_name.as_ref()?);
    // What Nova takes as a value.
    (note.chars().count() <= 255).then_some(note)
}

fn birth_metadata(spec: &Spec, birth: &Birth<'_>) -> Map<String, Value> {
    let mut metadata = pairs(spec);
    metadata.insert(MARKER_KEY.to_owned(), json!(birth.marker.to_string()));
    metadata.insert(OBJECT_KEY.to_owned(), json!(birth.object));
    if let Some(note) = image_note(spec) {
        metadata.insert(IMAGE_KEY.to_owned(), json!(note));
    }
    if let Some(boot) = &spec.boot_volume {
        metadata.insert(BOOT_VOLUME_KEY.to_owned(), json!(boot.volume_ref.id()));
    }
    if let Some(sha256) = spec.user_data.as_ref().and_then(|it| it.sha256.as_ref()) {
        metadata.insert(USER_DATA_KEY.to_owned(), json!(sha256));
    }
    metadata
}

/// What stands under `networks`, and since when it may. No ports at all is a word: an empty list
/// would be the same as `auto`.
fn networks(spec: &Spec) -> (Value, (u16, u16)) {
    match (&spec.ports, &spec.networks) {
        (Some(ports), _) if !ports.is_empty() => {
            let ports: Vec<Value> = ports
                .iter()
                .map(|it| json!({"port": it.port_ref.id()}))
                .collect();
            (json!(ports), COMPUTE.floor)
        }
        (_, Some(Networks::List(networks))) if !networks.is_empty() => {
            let networks: Vec<Value> = networks.iter().map(network).collect();
            (json!(networks), COMPUTE.floor)
        }
        (None, Some(Networks::Auto)) => (json!("auto"), since::NETWORK_WORDS),
        _ => (json!("none"), since::NETWORK_WORDS),
    }
}

fn network(network: &Network) -> Value {
    let mut body = json!({"uuid": network.network_ref.id()});
    if let Some(address) = network.fixed_ip {
        body["fixed_ip"] = json!(address);
    }
    body
}

fn scheduler_hints(hints: &SchedulerHints) -> Value {
    let ids = |references: &[Ref]| json!(references.iter().map(Ref::id).collect::<Vec<_>>());
    let mut body: Map<String, Value> = hints
        .additional_properties
        .iter()
        .flatten()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let group = hints.server_group_ref.as_ref().and_then(Ref::id);
    put("group", group.map(|it| json!(it)));
    put(
        "different_host",
        hints.different_host_server_refs.as_deref().map(ids),
    );
    put("same_host", hints.same_host_server_refs.as_deref().map(ids));
    put("query", hints.query.as_ref().map(|it| json!(it)));
    put(
        "target_cell",
        hints.target_cell.as_ref().map(|it| json!(it)),
    );
    put(
        "different_cell",
        hints.different_cell.as_ref().map(|it| json!(it)),
    );
    if let Some((address, prefix)) = hints
        .build_near_host_ip
        .as_ref()
        .and_then(|it| it.split_once('/'))
    {
        // The scheduler's filter wants the two apart, the prefix with its slash.
        put("build_near_host_ip", Some(json!(address)));
        put("cidr", Some(json!(format!("/{prefix}"))));
    }
    Value::Object(body)
}

pub(super) fn update(spec: &Spec, id: &str, fields: &[&'static str]) -> Call {
    let mut body = Map::new();
    let mut floor = COMPUTE.floor;
    for field in fields {
        match *field {
            "name" => body.insert("name".to_owned(), json!(spec.name)),
            "description" => {
                floor = since::DESCRIPTION;
                body.insert("description".to_owned(), json!(spec.description))
            }
            _ => None,
        };
    }
    let path = format!("servers/{}", segment(id));
    Call::new(Service::Compute, Method::Put, "servers/{id}", path)
        .at(Some(Microversion { floor, ..COMPUTE }))
        .json(json!({ "server": body }))
}

pub(super) fn act(
    action: Action,
    element: Option<&Element>,
    spec: &Spec,
    object: &Object,
) -> Result<Call, Refusal> {
    let id = &object.id;
    let server = format!("servers/{}", segment(id));
    let call = |method, route, path: String| {
        Call::new(Service::Compute, method, route, path).at(Some(COMPUTE))
    };
    let run = |body: Value| {
        let path = format!("{server}/action");
        Ok(call(Method::Post, "servers/{id}/action", path).json(body))
    };
    match action {
        Action::SetPowerState => match spec.power_state {
            Some(wanted) => run(power::step(wanted, object)?),
            None => Err(Refusal::new("no power state is wanted")),
        },
        Action::Resize => run(power::resize(spec, object)?),
        Action::ConfirmResize => run(json!({"confirmResize": null})),
        Action::RevertResize => run(json!({"revertResize": null})),
        Action::Rebuild => run(power::rebuild(spec, object)?),
        Action::SetMetadata => Ok(set_metadata(id, Value::Object(pairs(spec)))),
        Action::SetTags => {
            let at = Microversion {
                floor: since::TAGS,
                ..COMPUTE
            };
            Ok(
                call(Method::Put, "servers/{id}/tags", format!("{server}/tags"))
                    .at(Some(at))
                    .json(json!({"tags": spec.tags.as_deref().unwrap_or_default()})),
            )
        }
        Action::AttachVolume => {
            let volume = part(element, "volumeRef")?;
            let mut body = json!({ "volumeId": volume });
            if let Some(device) = element.and_then(|it| it["device"].as_str()) {
                body["device"] = json!(device);
            }
            const ROUTE: &str = "servers/{id}/os-volume_attachments";
            Ok(call(
                Method::Post,
                ROUTE,
                format!("{server}/os-volume_attachments"),
            )
            .json(json!({ "volumeAttachment": body })))
        }
        Action::DetachVolume => {
            let volume = segment(&part(element, "volumeRef")?);
            const ROUTE: &str = "servers/{id}/os-volume_attachments/{id}";
            let path = format!("{server}/os-volume_attachments/{volume}");
            Ok(call(Method::Delete, ROUTE, path))
        }
        Action::AttachPort => {
            let port = part(element, "portRef")?;
            let path = format!("{server}/os-interface");
            Ok(call(Method::Post, "servers/{id}/os-interface", path)
                .json(json!({"interfaceAttachment": {"port_id": port}})))
        }
        Action::DetachPort => {
            let port = segment(&part(element, "portRef")?);
            const ROUTE: &str = "servers/{id}/os-interface/{id}";
            Ok(call(
                Method::Delete,
                ROUTE,
                format!("{server}/os-interface/{port}"),
            ))
        }
    }
}

/// Adds to a server's metadata; what is there under other keys stays.
pub(super) fn set_metadata(id: &str, metadata: Value) -> Call {
    let path = format!("servers/{}/metadata", segment(id));
    Call::new(
        Service::Compute,
        Method::Post,
        "servers/{id}/metadata",
        path,
    )
    .at(Some(COMPUTE))
    .json(json!({ "metadata": metadata }))
}

fn pairs(spec: &Spec) -> Map<String, Value> {
    spec.metadata
        .iter()
        .flatten()
        .map(|it| (it.key.clone(), json!(it.value)))
        .collect()
}

/// The id that an element of a set refers to.
fn part(element: Option<&Element>, field: &str) -> Result<String, Refusal> {
    let reference: Option<Ref> =
        element.and_then(|it| serde_json::from_value(it[field].clone()).ok());
    match reference {
        Some(Ref::Id(id)) => Ok(id),
        _ => Err(Refusal::new(format!("{field} is not an existing resource"))),
    }
}
