//! What is understood of recorded volumes, and what is sent about them.

use super::*;
use crate::kinds::call::Body;
use crate::kinds::erased::{AnyKind, Of, unclassified};
use crate::kinds::field::diff;
use crate::kinds::need::Material;
use crate::kinds::testing::birth;

fn recorded(text: &str) -> Object {
    serde_json::from_str(text).unwrap()
}

fn available() -> Object {
    recorded(include_str!("../testdata/volume.json"))
}

fn in_use() -> Object {
    recorded(include_str!("../testdata/volume-in-use.json"))
}

fn spec() -> Spec {
    serde_json::from_value(json!({
        "name": "data", "description": "d", "size": 5, "availabilityZone": "nova",
        "metadata": [{"name": "role", "value": "database"}]
    }))
    .unwrap()
}

#[test]
fn every_field_is_classified() {
    assert_eq!(unclassified(&Of::<Volume>::NEW), Vec::<String>::new());
}

#[test]
fn what_is_created_is_what_is_seen() {
    let mut spec = spec();
    spec.image_ref = Some(Ref::Id("i".to_owned()));
    spec.volume_type_ref = Some(Ref::Id("t".to_owned()));
    let material = Material::default();
    let birth = birth("data", &material);
    let Body::Json(mut body) = Volume::create(&spec, &birth).body else {
        panic!("no JSON")
    };
    let mut answer = body["volume"].take();
    assert_eq!(answer["volume_type"], "t");
    answer["id"] = json!("1");
    answer["status"] = json!("available");
    answer["volume_type_id"] = answer["volume_type"].clone();
    answer["volume_image_metadata"] = json!({"image_id": answer["imageRef"]});
    let found = Of::<Volume>::NEW.look(answer).unwrap();
    assert_eq!(found.marker, Some(birth.marker));
    let seen: Spec =
        serde_json::from_value(Of::<Volume>::NEW.project(&found, &Attached::default())).unwrap();
    assert_eq!(seen, spec);
}

#[test]
fn a_copy_tells_of_what() {
    for (field, property) in [
        ("snapshotRef", "snapshot_id"),
        ("sourceVolumeRef", "source_volid"),
    ] {
        let mut value = json!({"size": 1});
        value[field] = json!({"id": "x"});
        let spec: Spec = serde_json::from_value(value).unwrap();
        let material = Material::default();
        let Body::Json(body) = Volume::create(&spec, &birth("data", &material)).body else {
            panic!("no JSON")
        };
        assert_eq!(body["volume"][property], "x");
        let mut answer = body["volume"].clone();
        answer["id"] = json!("1");
        answer["status"] = json!("creating");
        let object: Object = serde_json::from_value(answer).unwrap();
        let seen = serde_json::to_value(Volume::project(&object, &Attached::default()));
        assert_eq!(seen.unwrap()[field], json!({"id": "x"}));
    }
    let both = json!({"size": 1, "imageRef": "i", "snapshotRef": "s", "sourceVolumeRef": "v"});
    let both: Spec = serde_json::from_value(both).unwrap();
    let pointers: Vec<String> = Volume::check(&both)
        .into_iter()
        .map(|it| it.pointer)
        .collect();
    assert_eq!(pointers, ["/snapshotRef", "/sourceVolumeRef"]);
}

#[test]
fn another_type_is_a_retype_where_the_cloud_tells_the_type() {
    let want = json!({"size": 5, "volumeTypeRef": {"id": "other"}});
    let differences = |volume: &Object| {
        let have = serde_json::to_value(Volume::project(volume, &Attached::default())).unwrap();
        diff(&Of::<Volume>::NEW.rows(), &want, &have)
    };
    assert_eq!(
        differences(&available()),
        [],
        "before 3.63 nothing can be said"
    );
    let typed = recorded(include_str!("../testdata/volume-typed.json"));
    let fields: Vec<_> = differences(&Object {
        size: 5,
        ..typed.clone()
    })
    .iter()
    .map(|it| it.field)
    .collect();
    assert_eq!(fields, ["volumeTypeRef"]);
    let spec: Spec = serde_json::from_value(want.clone()).unwrap();
    let call = Volume::act(Action::Retype, None, &spec, &typed).unwrap();
    assert_eq!(
        call.body,
        Body::Json(json!({"os-retype": {"new_type": "other", "migration_policy": "never"}}))
    );
}

#[test]
fn a_volume_without_a_description_has_an_empty_one() {
    let volume = Object {
        description: None,
        ..available()
    };
    let want = json!({"size": 5, "description": ""});
    let have = serde_json::to_value(Volume::project(&volume, &Attached::default())).unwrap();
    assert_eq!(diff(&Of::<Volume>::NEW.rows(), &want, &have), []);
}

#[test]
fn a_recorded_volume_tells_where_it_is_attached() {
    let status = Volume::status(&in_use(), &Attached::default());
    assert_eq!(
        (status.size, status.volume_type.as_deref()),
        (5, Some("lvmdriver-1"))
    );
    assert_eq!(status.attachments[0].device.as_deref(), Some("/dev/vdb"));
    let identity = Volume::identity(&in_use());
    assert_eq!(
        identity.attached_to,
        ["01f0709f-8223-4a4c-ae41-bafa6816f5b1"]
    );
    assert_eq!(
        identity.project.as_deref(),
        Some("5d1c919fd583475cb09f0dcd5342c375")
    );
    assert_eq!(
        Volume::identity(&available()).attached_to,
        Vec::<String>::new()
    );
}

#[test]
fn what_stays_reserved_is_kept_for_a_shelved_server() {
    let mut volume: Value = serde_json::from_str(include_str!("../testdata/volume.json")).unwrap();
    volume["status"] = json!("reserved");
    volume["updated_at"] = json!("2026-11-22T10:00:00.000000");
    let at = |time: &str| {
        let found = Of::<Volume>::NEW.look(volume.clone()).unwrap();
        found.at(time.parse().unwrap()).health
    };
    let moving = Health::Moving("reserved".to_owned());
    assert_eq!(at("2026-11-22T10:00:59Z"), moving);
    assert_eq!(at("2026-11-22T10:01:00Z"), Health::Ready);
}

#[test]
fn every_state_means_something() {
    for (status, health) in [
        ("available", Health::Ready),
        ("in-use", Health::Ready),
        ("creating", Health::Moving("creating".to_owned())),
        ("downloading", Health::Moving("downloading".to_owned())),
        ("reserved", Health::Moving("reserved".to_owned())),
        ("extending", Health::Moving("extending".to_owned())),
        ("deleting", Health::Leaving),
        (
            "error",
            Health::Stuck {
                state: "error".to_owned(),
                fault: None,
            },
        ),
        (
            "error_deleting",
            Health::Stuck {
                state: "error_deleting".to_owned(),
                fault: None,
            },
        ),
    ] {
        let volume = Object {
            status: status.to_owned(),
            ..available()
        };
        assert_eq!(Volume::health(&volume), health, "{status}");
    }
    let creating = recorded(include_str!("../testdata/volume-creating.json"));
    assert_eq!(
        Volume::health(&creating),
        Health::Moving("creating".to_owned())
    );
}

#[test]
fn it_grows_attached_only_where_that_is_possible_and_never_shrinks() {
    let act =
        |size, volume: &Object| Volume::act(Action::Extend, None, &Spec { size, ..spec() }, volume);
    let call = act(6, &available()).unwrap();
    assert_eq!(
        call.path,
        "volumes/6373b955-c971-420d-ba42-4be73e427809/action"
    );
    assert_eq!(call.body, Body::Json(json!({"os-extend": {"new_size": 6}})));
    assert_eq!(call.microversion.unwrap().floor, (3, 0));
    assert_eq!(
        act(6, &in_use()).unwrap().microversion.unwrap().floor,
        (3, 42)
    );
    let refusal = act(4, &available()).unwrap_err();
    assert_eq!(
        refusal.message,
        "a volume cannot shrink: 4 GiB wanted, 5 GiB there"
    );
}

#[test]
fn only_what_differs_is_sent() {
    let call = Volume::update(&spec(), &available(), &["description"]);
    assert_eq!(
        call.body,
        Body::Json(json!({"volume": {"description": "d"}}))
    );
    let call = Volume::act(Action::SetMetadata, None, &spec(), &available()).unwrap();
    assert_eq!(
        call.method,
        Method::Post,
        "PUT would remove what others set"
    );
    assert_eq!(
        call.body,
        Body::Json(json!({"metadata": {"role": "database"}}))
    );
}

#[test]
fn the_filter_goes_by_all_that_it_sets() {
    for (filter, matches) in [
        (json!({"name": "rec-volume"}), true),
        (json!({"name": "rec"}), false),
        (json!({"size": 5, "availabilityZone": "nova"}), true),
        (json!({"size": 6, "availabilityZone": "nova"}), false),
        (
            json!({"description": "backup volume of mysql server."}),
            true,
        ),
        (json!({"description": "backup"}), false),
    ] {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        assert_eq!(
            Volume::matches(&filter, &available()),
            matches,
            "{filter:?}"
        );
    }
}

#[test]
fn sizes_of_nothing_and_keys_of_ours_are_refused() {
    let metadata = vec![Metadata {
        name: MARKER_KEY.to_owned(),
        value: String::new(),
    }];
    let spec = Spec {
        size: 0,
        metadata: Some(metadata),
        ..spec()
    };
    let pointers: Vec<String> = Volume::check(&spec)
        .into_iter()
        .map(|it| it.pointer)
        .collect();
    assert_eq!(pointers, ["/size", "/metadata/0/name"]);
}
