//! Images: what is sent, what is read back, and what a broken upload leaves.

use super::*;
use crate::kinds::erased::{AnyKind, Found, Of, unclassified};
use crate::kinds::field::diff;
use crate::kinds::testing::birth;

const KIND: Of<Image> = Of::NEW;

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

fn full() -> Value {
    json!({
        "name": "ubuntu", "visibility": "private", "protected": false, "tags": ["lts", "amd64"],
        "properties": {
            "minDiskGB": 20, "minMemoryMB": 512, "architecture": "x86_64", "hypervisorType": "qemu",
            "hardware": {
                "cpuSockets": 1, "cpuCores": 2, "cpuThreads": 1, "cpuPolicy": "shared",
                "cpuThreadPolicy": "prefer", "cdromBus": "ide", "diskBus": "virtio",
                "scsiModel": "virtio-scsi", "vifModel": "virtio", "rngModel": "virtio",
                "qemuGuestAgent": true
            },
            "operatingSystem": {"distro": "ubuntu", "version": "26.04"},
            "additional": {"hw_machine_type": "q35", "a/b": "c"}
        },
        "content": {"containerFormat": "bare", "diskFormat": "qcow2", "file": "images/u.qcow2"}
    })
}

fn recorded(text: &str) -> Found {
    KIND.look(serde_json::from_str(text).unwrap()).unwrap()
}

fn active() -> Found {
    recorded(include_str!("../testdata/image.json"))
}

fn queued() -> Found {
    recorded(include_str!("../testdata/image-queued.json"))
}

fn spoilt() -> Found {
    recorded(include_str!("../testdata/image-after-refused-upload.json"))
}

fn object(found: &Found) -> &Object {
    found.object.downcast_ref().unwrap()
}

fn body(call: Call) -> Value {
    match call.body {
        Body::Json(body) | Body::ImagePatch(body) => body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_is_classified() {
    assert_eq!(unclassified(&KIND), Vec::<String>::new());
}

#[test]
fn what_is_created_is_what_is_seen() {
    let wanted = spec(full());
    let material = Material::default();
    let birth = birth("ubuntu", &material);
    let call = Image::create(&wanted, &birth);
    assert_eq!((call.method, call.path.as_str()), (Method::Post, "images"));
    let mut answer = body(call);
    assert_eq!(
        answer["id"],
        birth.id.to_string(),
        "the id is ours to choose"
    );
    assert_eq!(answer["hw_qemu_guest_agent"], "yes");
    assert_eq!(answer["hw_cpu_cores"], "2", "properties are texts");
    assert_eq!(answer["min_disk"], 20);
    assert!(
        answer.get("protected").is_none(),
        "it could not be deleted after a failed upload"
    );
    answer["status"] = json!("queued");
    answer["protected"] = json!(false);
    let mut copy = answer.clone();
    copy["id"] = json!("7f1c0c6e-6f0c-5d0e-9d53-0a52a5a3e3c1");
    let found = KIND.look(answer).unwrap();
    assert_eq!(found.marker, Some(birth.marker));
    assert_eq!(
        KIND.look(copy).unwrap().marker,
        None,
        "it is a snapshot's now"
    );
    let mut seen = Image::project(object(&found), &Attached::default());
    seen.content.as_mut().unwrap().file = wanted.content.as_ref().unwrap().file.clone();
    // It is told of every image, and the manifest did not mind.
    assert_eq!(seen.deactivated.take(), Some(false));
    assert_eq!(seen, wanted);
}

#[test]
fn only_properties_that_the_manifest_sets_are_compared() {
    let want = json!({"properties": {"minDiskGB": 20, "additional": {"stackward_uid":
        "7f1c0c6e-6f0c-5d0e-9d53-0a52a5a3e3c1"}}});
    let mut have = KIND.project(&active(), &Attached::default());
    assert_eq!(diff(&KIND.rows(), &want, &have), []);
    have["properties"]["minDiskGB"] = json!(1);
    assert_eq!(diff(&KIND.rows(), &want, &have)[0].field, "properties");
}

#[test]
fn a_patch_replaces_what_is_there_and_adds_what_is_not() {
    let wanted = spec(json!({
        "name": "n", "tags": ["t"], "protected": true,
        "properties": {"minDiskGB": 5, "additional": {"stackward_uid": "x", "a/b": "c"}}
    }));
    let call = Image::update(
        &wanted,
        object(&active()),
        &["name", "protected", "tags", "properties"],
    );
    assert_eq!(call.path, "images/aebcec5c-1dd8-453e-a574-500e435cba21");
    assert!(matches!(call.body, Body::ImagePatch(_)));
    assert_eq!(
        body(call),
        json!([
            {"op": "replace", "path": "/name", "value": "n"},
            {"op": "replace", "path": "/protected", "value": true},
            {"op": "replace", "path": "/tags", "value": ["t"]},
            {"op": "add", "path": "/a~1b", "value": "c"},
            {"op": "replace", "path": "/min_disk", "value": 5},
            {"op": "replace", "path": "/stackward_uid", "value": "x"},
        ])
    );
}

#[test]
fn a_record_without_content_is_given_it() {
    let mut wanted = spec(full());
    let path = PathBuf::from("/srv/manifests/images/u.qcow2");
    let files = [("/content/file".to_owned(), path.clone())].into();
    Image::fill(
        &mut wanted,
        &Inputs {
            files,
            ..Inputs::default()
        },
    )
    .unwrap();
    let queued = queued();
    assert_eq!(
        queued.health,
        Health::Stuck {
            state: "queued".to_owned(),
            fault: None
        }
    );
    assert_eq!(
        Image::remedy(&wanted, object(&queued)),
        Some(Change::Action(Action::Upload))
    );
    assert!(!KIND.is_husk(&queued));
    let call = Image::act(Action::Upload, None, &wanted, object(&queued)).unwrap();
    assert_eq!(
        call.path,
        "images/aebcec5c-1dd8-453e-a574-500e435cba21/file"
    );
    assert_eq!(call.timeout, None, "an upload may take hours");
    let upload = Upload {
        source: Source::File(path),
        decompress: None,
        hash: None,
    };
    assert_eq!(call.body, Body::Upload(upload));
}

#[test]
fn a_download_keeps_its_digest() {
    let wanted = spec(json!({"content": {"diskFormat": "raw", "download": {
        "url": "https://example.org/u.img.xz", "decompress": "xz",
        "hash": {"algorithm": "md5", "value": "0123456789abcdef0123456789abcdef"}
    }}}));
    assert_eq!(Image::check(&wanted), []);
    let call = Image::act(Action::Upload, None, &wanted, object(&queued())).unwrap();
    let Body::Upload(upload) = call.body else {
        panic!("no upload")
    };
    assert_eq!(
        upload.source,
        Source::Url("https://example.org/u.img.xz".to_owned())
    );
    assert_eq!(upload.decompress, Some(Compression::Xz));
    assert_eq!(upload.hash.unwrap().algorithm, HashAlgorithm::Md5);
}

#[test]
fn a_record_that_a_refused_upload_spoilt_is_made_anew() {
    assert_eq!(Image::remedy(&spec(full()), object(&spoilt())), None);
    assert!(KIND.is_husk(&spoilt()));
    let Health::Stuck { fault, .. } = spoilt().health else {
        panic!("not stuck")
    };
    assert_eq!(fault.as_deref(), Some("an upload was refused"));
}

#[test]
fn every_state_means_something() {
    let stuck = |state: &str| Health::Stuck {
        state: state.to_owned(),
        fault: None,
    };
    for (status, health, husk) in [
        ("active", Health::Ready, false),
        ("deactivated", Health::Off("deactivated".to_owned()), false),
        ("queued", stuck("queued"), false),
        ("killed", stuck("killed"), true),
        ("saving", Health::Moving("saving".to_owned()), true),
        ("uploading", Health::Moving("uploading".to_owned()), true),
        ("importing", Health::Moving("importing".to_owned()), true),
        ("deleted", Health::Leaving, false),
        ("pending_delete", Health::Leaving, false),
        ("new_state", Health::Moving("new_state".to_owned()), false),
    ] {
        let found = KIND.look(json!({"id": "1", "status": status})).unwrap();
        assert_eq!(
            (&found.health, KIND.is_husk(&found)),
            (&health, husk),
            "{status}"
        );
    }
}

#[test]
fn the_status_of_a_recorded_image_has_its_digest() {
    let status = KIND.status(&active(), &Attached::default());
    assert_eq!(status["hash"]["algorithm"], "sha512");
    assert_eq!(
        (&status["sizeB"], &status["virtualSizeB"]),
        (&json!(2048), &json!(1_073_664))
    );
    assert_eq!(
        KIND.status(&queued(), &Attached::default())["hash"],
        Value::Null
    );
    assert_eq!(
        active().project.as_deref(),
        Some("5d1c919fd583475cb09f0dcd5342c375")
    );
}

#[test]
fn the_filter_goes_by_all_that_it_sets() {
    let found = KIND
        .look(
            json!({"id": "1", "status": "active", "name": "u", "visibility": "public",
                     "tags": ["a", "b"]}),
        )
        .unwrap();
    for (filter, matches) in [
        (json!({"name": "u"}), true),
        (json!({"name": "U"}), false),
        (json!({"visibility": "public", "tags": ["b"]}), true),
        (json!({"tags": ["a", "c"]}), false),
        (json!({"visibility": "private"}), false),
    ] {
        assert_eq!(
            !KIND.choose(&filter, &[&found]).is_empty(),
            matches,
            "{filter}"
        );
    }
}

#[test]
fn wrong_content_and_properties_are_complained_about_where_they_stand() {
    let file = json!({"diskFormat": "raw", "file": "a"});
    let hash = json!({"algorithm": "sha256", "value": "abc"});
    let url = json!({"url": "https://example.org/a"});
    for (value, pointers) in [
        (json!({}), vec!["/content"]),
        (json!({"content": {"diskFormat": "raw"}}), vec!["/content"]),
        (
            json!({"content": {"diskFormat": "raw", "file": "a", "download": url}}),
            vec!["/content/file"],
        ),
        (
            json!({"content": {"diskFormat": "raw", "download": url, "hash": hash}}),
            vec!["/content/hash"],
        ),
        (
            json!({"content": {"diskFormat": "raw", "file": "a", "hash": hash}}),
            vec!["/content/hash/value"],
        ),
        (
            json!({"content": {"diskFormat": "raw", "download": {"url": "file:///etc/passwd"}}}),
            vec!["/content/download/url"],
        ),
        (
            json!({"content": file, "properties": {
                "architecture": "x86", "hardware": {"cpuCores": 0, "vifModel": "virtio"},
                "additional": {"stackward.marker": "x", "owner": "x", "hw_vif_model": "x", "ok": "x"}
            }}),
            vec![
                "/properties/architecture",
                "/properties/hardware/cpuCores",
                "/properties/additional/hw_vif_model",
                "/properties/additional/owner",
                "/properties/additional/stackward.marker",
            ],
        ),
        (full(), vec![]),
    ] {
        let found: Vec<String> = Image::check(&spec(value.clone()))
            .into_iter()
            .map(|it| it.pointer)
            .collect();
        assert_eq!(found, pointers, "{value}");
    }
}
