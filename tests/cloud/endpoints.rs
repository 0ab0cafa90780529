//! From the catalog's address to the one that requests go to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stackward::kinds::call::{Call, CallError, Method, Microversion, Service};

use crate::fake::{Fake, Say, Seen, say, token_body};

fn version(id: &str, href: &str, newest: &str, oldest: &str) -> Value {
    json!({"id": id, "status": "CURRENT", "version": newest, "min_version": oldest,
           "links": [{"rel": "self", "href": href}]})
}

/// A cloud whose catalog has one service at one address.
fn cloud_at(
    kind: &'static str,
    url: &'static str,
    documents: impl Fn(&Seen) -> Option<Say> + Send + Sync + 'static,
) -> Fake {
    Fake::new(move |seen, _| {
        if seen.line() != "POST /v3/auth/tokens" {
            return documents(seen).or_else(|| Some(say(404, Value::Null)));
        }
        let catalog = json!([{"type": kind, "name": "x", "endpoints": [
            {"interface": "public", "region": "R", "url": url}]}]);
        Some(say(201, token_body(3600, catalog)).with("x-subject-token", "t"))
    })
}

#[tokio::test]
async fn the_versioned_address_is_found_behind_any_form_of_catalog_entry() {
    let nova = json!({"versions": [
        version("v2.0", "http://10.0.0.5:8774/v2/", "", ""),
        version("v2.1", "http://10.0.0.5:8774/v2.1/", "2.96", "2.1")]});
    let cinder = json!({"versions": [version("v3.0", "http://10.0.0.5:8776/v3/", "3.71", "3.0")]});
    let old_cinder = json!({"versions": [version("v3.0", "http://10.0.0.5/v3/", "3.44", "3.0")]});
    let prefixed = json!({"versions": [version("v2.15", "http://10.0.0.5/image/v2/", "", "")]});
    let glance = json!({"versions": [version("v2.15", "http://10.0.0.5:9292/v2/", "", "")]});
    let neutron = json!({"versions": [version("v2.0", "http://10.0.0.5:9696/v2.0/", "", "")]});
    let manila = json!({"versions": [version("v2.0", "http://10.0.0.5:8786/v2/", "2.99", "2.0")]});
    for (service, kind, url, document, expected) in [
        (
            Service::Compute,
            "compute",
            "https://api.example/compute/",
            ("/compute/", nova.clone()),
            "https://api.example/compute/v2.1",
        ),
        (
            Service::Compute,
            "compute",
            "https://api.example:8774/v2.1/p1",
            ("/v2.1/", json!({"version": nova["versions"][1]})),
            "https://api.example:8774/v2.1/p1",
        ),
        // The legacy API without microversions, where the new one is beside it.
        (
            Service::Compute,
            "compute",
            "https://api.example:8774/v2/p1",
            ("/", nova),
            "https://api.example:8774/v2.1/p1",
        ),
        (
            Service::BlockStorage,
            "volumev3",
            "https://api.example/volume",
            ("/volume/", cinder.clone()),
            "https://api.example/volume/v3",
        ),
        (
            Service::BlockStorage,
            "volumev3",
            "https://api.example/volume",
            ("/volume/", old_cinder),
            "https://api.example/volume/v3/p1",
        ),
        (
            Service::BlockStorage,
            "volumev2",
            "https://api.example/v2/p1",
            ("/", cinder),
            "https://api.example/v3/p1",
        ),
        (
            Service::Image,
            "image",
            "https://api.example/image",
            ("/image/", prefixed),
            "https://api.example/image/v2",
        ),
        (
            Service::SharedFileSystem,
            "shared-file-system",
            "https://api.example/share/",
            ("/share/", manila.clone()),
            "https://api.example/share/v2",
        ),
        (
            Service::SharedFileSystem,
            "sharev2",
            "https://api.example:8786/v2/p1",
            ("/v2/", manila),
            "https://api.example:8786/v2/p1",
        ),
        // Links without the prefix that the proxy adds.
        (
            Service::Image,
            "image",
            "https://api.example/image/",
            ("/image/", glance),
            "https://api.example/image/v2",
        ),
        (
            Service::Image,
            "image",
            "https://api.example:9292/v2/",
            ("/none", Value::Null),
            "https://api.example:9292/v2",
        ),
        (
            Service::Network,
            "network",
            "https://api.example/",
            ("/", neutron),
            "https://api.example/v2.0",
        ),
        (
            Service::Network,
            "network",
            "https://api.example/n/v2.0",
            ("/none", Value::Null),
            "https://api.example/n/v2.0",
        ),
    ] {
        let (path, body) = document;
        let fake = cloud_at(kind, url, move |seen| {
            (seen.path == path).then(|| say(300, body.clone()))
        });
        assert_eq!(
            fake.cloud("").endpoint(service).await.unwrap(),
            expected,
            "{kind} {url}"
        );
    }
}

#[tokio::test]
async fn a_hidden_version_document_leads_to_the_usual_path() {
    for hidden in [401, 403, 404, 200] {
        let page = move |_: &Seen| Some(Say(hidden, Vec::new(), "<html>no</html>".to_owned()));
        for (service, kind, url, expected) in [
            (
                Service::Image,
                "image",
                "http://a.example:9292",
                "http://a.example:9292/v2",
            ),
            (
                Service::Network,
                "network",
                "http://a.example/net/",
                "http://a.example/net/v2.0",
            ),
            (
                Service::Compute,
                "compute",
                "http://a.example/compute",
                "http://a.example/compute/v2.1",
            ),
            (
                Service::BlockStorage,
                "volumev3",
                "http://a.example/",
                "http://a.example/v3/p1",
            ),
            (
                Service::BlockStorage,
                "volumev3",
                "http://a.example/v3/p1",
                "http://a.example/v3/p1",
            ),
        ] {
            let fake = cloud_at(kind, url, page);
            assert_eq!(
                fake.cloud("").endpoint(service).await.unwrap(),
                expected,
                "{kind} {hidden}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_document_that_is_away_for_a_moment_is_an_error_and_asked_for_again() {
    let down = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&down);
    let fake = cloud_at("image", "http://a.example/", move |_| {
        if flag.load(Ordering::Relaxed) {
            return Some(say(503, Value::Null));
        }
        Some(say(
            200,
            json!({"versions": [version("v2.9", "http://a.example/v2/", "", "")]}),
        ))
    });
    let cloud = fake.cloud("");
    let error = cloud.endpoint(Service::Image).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "{error:?}");
    down.store(false, Ordering::Relaxed);
    assert_eq!(
        cloud.endpoint(Service::Image).await.unwrap(),
        "http://a.example/v2"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_asked_for_again_after_a_day_and_a_guess_sooner() {
    let fake = cloud_at("compute", "http://a.example/v2.1", |seen| {
        (seen.path == "/v2.1/").then(|| {
            say(
                200,
                json!({"version": version("v2.1", "http://x/v2.1/", "2.96", "2.1")}),
            )
        })
    });
    let hidden = cloud_at("compute", "http://a.example/v2.1", |_| None);
    let (cloud, guessed) = (fake.cloud(""), hidden.cloud(""));
    for (hours, expected) in [(0, (1, 1)), (1, (1, 2)), (22, (1, 3)), (2, (2, 4))] {
        tokio::time::advance(Duration::from_secs(hours * 3600)).await;
        let _ = cloud.endpoint(Service::Compute).await.unwrap();
        let _ = guessed.endpoint(Service::Compute).await.unwrap();
        let asked = |fake: &Fake| fake.asked("GET /v2.1/").len();
        assert_eq!(
            (asked(&fake), asked(&hidden)),
            expected,
            "after {hours} h more"
        );
    }
}

#[tokio::test]
async fn a_cloud_that_has_only_an_older_api_says_so() {
    let fake = cloud_at("volumev2", "http://a.example/v2/p1", |seen| {
        (seen.path == "/").then(|| {
            say(300, json!({"versions": [version("v1.0", "http://a/v1/", "", ""), version("v2.0", "http://a/v2/", "", "")]}))
        })
    });
    let error = fake
        .cloud("")
        .endpoint(Service::BlockStorage)
        .await
        .unwrap_err();
    let CallError::NotSent { message, .. } = error else {
        panic!("{error:?}")
    };
    assert!(
        message.contains("does not offer v3; it has: v1.0, v2.0"),
        "{message}"
    );
}

#[tokio::test]
async fn an_override_is_used_instead_of_the_catalog() {
    let fake = Fake::new(|_, _| None);
    for key in [
        "network_endpoint_override",
        "network-endpoint-override",
        "neutron_endpoint",
    ] {
        let cloud = fake.cloud(&format!("    {key}: http://other.example:9696/v2.0\n"));
        let endpoint = cloud.endpoint(Service::Network).await.unwrap();
        assert_eq!(endpoint, "http://other.example:9696/v2.0", "{key}");
    }
}

#[tokio::test]
async fn the_scope_is_the_fingerprint_of_where_one_is() {
    let scope = Fake::new(|_, _| None)
        .cloud("    region_name: RegionOne\n")
        .scope()
        .await
        .unwrap();
    assert_eq!(scope.project_id.as_deref(), Some("p1"));
    assert_eq!(scope.user_id.as_deref(), Some("u1"));
    assert_eq!(scope.region.as_deref(), Some("RegionOne"));
    assert_eq!(
        scope.endpoints[&Service::Compute],
        "http://cloud.example/compute/v2.1"
    );
    assert_eq!(scope.endpoints.len(), 6);
}

#[tokio::test]
async fn after_a_406_versions_are_asked_for_again() {
    let fake = Fake::new(|seen, _| {
        (seen.path == "/compute/v2.1/servers")
            .then(|| say(406, json!({"computeFault": {"message": "no"}})))
    });
    let cloud = fake.cloud("");
    let call =
        Call::new(Service::Compute, Method::Get, "servers", "servers").at(Some(Microversion {
            want: (2, 90),
            floor: (2, 1),
        }));
    let error = cloud.send(&call, None).await.unwrap_err();
    assert_eq!(error.status(), Some(406));
    let _ = cloud.send(&call, None).await.unwrap_err();
    assert_eq!(fake.asked("GET /compute/v2.1/").len(), 2);
}
