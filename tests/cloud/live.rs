//! The client against a real cloud: `STACKWARD_TEST_CLOUD` names one in clouds.yaml
//! (`OS_CLIENT_CONFIG_FILE` says where that is, if it is not in the usual places).
//!
//! ```text
//! STACKWARD_TEST_CLOUD=demo cargo test --test cloud live -- --ignored --nocapture
//! ```
//!
//! Writes one small image, named after the test, and removes it.

use std::io::Write;

use serde_json::{Value, json};
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;
use stackward::cloud::{Cloud, Options};
use stackward::kinds::call::{
    Body, Call, Hash, HashAlgorithm, List, Method, Microversion, Service, Source, Upload,
};

fn list(service: Service, path: &'static str, items: &'static str) -> List {
    let microversion = match service {
        Service::Compute => Some(Microversion {
            want: (2, 96),
            floor: (2, 1),
        }),
        Service::BlockStorage => Some(Microversion {
            want: (3, 71),
            floor: (3, 0),
        }),
        _ => None,
    };
    List {
        service,
        path,
        query: Vec::new(),
        items,
        microversion,
        parts: Vec::new(),
    }
}

#[tokio::test]
#[ignore = "needs a real cloud: set STACKWARD_TEST_CLOUD and add --ignored"]
async fn a_real_cloud_understands_this_client() {
    let name = std::env::var("STACKWARD_TEST_CLOUD").expect("STACKWARD_TEST_CLOUD names the cloud");
    let profile = Profile::load(Some(&name), &Environment::of_process()).unwrap();
    let cloud = Cloud::new(profile, Options::default()).unwrap();
    let scope = cloud.scope().await.unwrap();
    eprintln!("{scope:#?}\ntoken until {:?}", cloud.token_expires());
    for service in Service::ALL {
        match cloud.endpoint(service).await {
            // Few clouds have Manila.
            Err(error) if service == Service::SharedFileSystem => eprintln!("{error}"),
            endpoint => eprintln!("{service}: {}", endpoint.unwrap()),
        }
    }
    for (service, path, items) in [
        (Service::Compute, "servers/detail", "servers"),
        (Service::Compute, "flavors/detail", "flavors"),
        (Service::Compute, "os-keypairs", "keypairs"),
        (Service::BlockStorage, "volumes/detail", "volumes"),
        (Service::Image, "images", "images"),
        (Service::Network, "networks", "networks"),
        (Service::Network, "ports", "ports"),
        (Service::Network, "security-groups", "security_groups"),
    ] {
        let all = cloud.list(&list(service, path, items)).await.unwrap();
        let mut pages = list(service, path, items);
        pages.query = vec![("limit".into(), "1".into())];
        let by_one = cloud.list(&pages).await.unwrap();
        eprintln!("{path}: {} items", all.len());
        assert_eq!(by_one.len(), all.len(), "{path} one by one");
    }
    image(&cloud).await;
    let call = Call::new(
        Service::Compute,
        Method::Get,
        "servers/{id}",
        "servers/nonesuch",
    );
    let error = cloud.send(&call, None).await.unwrap_err();
    eprintln!("{error}");
    assert!(
        error.is_not_found() && error.to_string().contains("req-"),
        "{error}"
    );
}

/// Uploads an image from a file, first with a wrong digest, and removes it.
async fn image(cloud: &Cloud) {
    let body =
        json!({"name": "stackward-client-test", "disk_format": "raw", "container_format": "bare"});
    let create = Call::new(Service::Image, Method::Post, "images", "images").json(body);
    let created = cloud.send(&create, None).await.unwrap().body;
    let id = created["id"].as_str().unwrap().to_owned();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for block in 0..3_000_000_u32 {
        file.write_all(&block.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
    let upload = |hash: Option<Hash>| {
        let source = Source::File(file.path().to_owned());
        Call::new(
            Service::Image,
            Method::Put,
            "images/{id}/file",
            format!("images/{id}/file"),
        )
        .body(Body::Upload(Upload {
            source,
            decompress: None,
            hash,
        }))
    };
    let wrong = Hash {
        algorithm: HashAlgorithm::Sha256,
        value: "00".repeat(32),
    };
    let error = cloud.send(&upload(Some(wrong)), None).await.unwrap_err();
    eprintln!("{error}");
    let get = Call::new(
        Service::Image,
        Method::Get,
        "images/{id}",
        format!("images/{id}"),
    );
    let status = async || -> Value { cloud.send(&get, None).await.unwrap().body["status"].clone() };
    // Glance puts it back when it notices that the connection is gone.
    for _ in 0..50 {
        if status().await == "queued" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let before = status().await;
    assert_ne!(
        before, "active",
        "an image with a wrong digest became usable"
    );
    eprintln!("after the aborted upload the image is {before}");
    let uploaded = cloud.send(&upload(None), None).await;
    let after = status().await;
    let delete = Call::new(
        Service::Image,
        Method::Delete,
        "images/{id}",
        format!("images/{id}"),
    );
    let deleted = cloud.send(&delete, None).await;
    assert_eq!(uploaded.unwrap().status, 204);
    assert_eq!(after, "active");
    assert_eq!(deleted.unwrap().status, 204);
}
