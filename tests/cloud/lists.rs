//! Whole collections, whatever way the service pages.

use serde_json::{Value, json};
use stackward::kinds::call::{CallError, List, Service};

use crate::fake::{Fake, Say, Seen, say};

fn list(service: Service, path: &'static str, items: &'static str) -> List {
    List {
        service,
        path,
        query: vec![("project_id".into(), "p 1".into())],
        items,
        microversion: None,
        parts: Vec::new(),
    }
}

fn parameter(seen: &Seen, name: &str) -> Option<String> {
    let url = format!("http://x/?{}", seen.query);
    let url = reqwest::Url::parse(&url).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

/// Pages of `servers`, by marker: what it says for none, and for each marker.
fn pages(script: impl Fn(Option<&str>, usize) -> Option<Say> + Send + Sync + 'static) -> Fake {
    Fake::new(move |seen, fake| {
        (seen.path == "/compute/v2.1/servers").then_some(())?;
        let count = fake.asked("GET /compute/v2.1/servers").len();
        script(parameter(seen, "marker").as_deref(), count)
    })
}

fn page(items: &[&str], next: Option<&str>) -> Say {
    let items: Vec<Value> = items.iter().map(|id| json!({"id": id})).collect();
    let mut body = json!({"servers": items});
    if let Some(marker) = next {
        // A host that only the inside of the cloud knows.
        let href = format!("http://10.9.8.7:8774/v2.1/servers?limit=2&marker={marker}");
        body["servers_links"] = json!([{"rel": "next", "href": href}]);
    }
    say(200, body)
}

fn servers() -> List {
    list(Service::Compute, "servers", "servers")
}

#[tokio::test]
async fn links_are_followed_to_the_end_on_the_services_own_host() {
    let fake = pages(|marker, _| {
        Some(match marker {
            None => page(&["a", "b"], Some("b")),
            Some("b") => page(&["c", "d"], Some("d")),
            Some("d") => page(&["e"], None),
            _ => return None,
        })
    });
    let items = fake.cloud("").list(&servers()).await.unwrap();
    assert_eq!(ids(&items), ["a", "b", "c", "d", "e"]);
    let asked = fake.asked("GET /compute/v2.1/servers");
    assert_eq!(parameter(&asked[0], "limit").as_deref(), Some("1000"));
    assert!(asked.iter().all(|seen| seen.host == "cloud.example"));
    assert!(
        asked
            .iter()
            .all(|seen| parameter(seen, "project_id").as_deref() == Some("p 1"))
    );
    assert!(
        asked
            .iter()
            .all(|seen| seen.header("x-auth-token") == fake.newest_token())
    );
}

#[tokio::test]
async fn glances_relative_next_is_followed() {
    let fake = Fake::new(|seen, _| {
        (seen.path == "/image/v2/images").then(|| match parameter(seen, "marker").as_deref() {
            None => say(200, json!({"images": [{"id": "a"}], "next": "/v2/images?marker=a&limit=1", "first": "/v2/images"})),
            _ => say(200, json!({"images": [{"id": "b"}], "first": "/v2/images"})),
        })
    });
    let items = fake
        .cloud("")
        .list(&list(Service::Image, "images", "images"))
        .await
        .unwrap();
    assert_eq!(ids(&items), ["a", "b"]);
}

#[tokio::test]
async fn a_full_page_without_a_link_is_continued_by_its_last_id() {
    let fake = pages(|marker, _| match marker {
        None => Some(page(&["a", "b"], None)),
        Some("b") => Some(page(&["c"], None)),
        _ => None,
    });
    let mut by_two = servers();
    by_two.query.push(("limit".into(), "2".into()));
    let items = fake.cloud("").list(&by_two).await.unwrap();
    assert_eq!(ids(&items), ["a", "b", "c"]);
}

#[tokio::test]
async fn manilas_pages_are_counted_since_it_takes_a_marker_for_a_filter() {
    let fake = Fake::new(|seen, _| {
        (seen.path == "/share/v2/share-networks").then_some(())?;
        let all = [json!({"id": "a"}), json!({"id": "b"}), json!({"id": "c"})];
        let offset = parameter(seen, "offset").map_or(0, |it| it.parse().unwrap());
        let page: Vec<&Value> = all.iter().skip(offset).take(2).collect();
        let marked = parameter(seen, "marker").is_some();
        let page = if marked { Vec::new() } else { page };
        Some(say(200, json!({"share_networks": page})))
    });
    let path = "share-networks";
    let mut by_two = list(Service::SharedFileSystem, path, "share_networks");
    by_two.query.push(("limit".into(), "2".into()));
    let items = fake.cloud("").list(&by_two).await.unwrap();
    assert_eq!(ids(&items), ["a", "b", "c"]);
}

#[tokio::test]
async fn an_item_that_moved_to_a_later_page_is_there_once() {
    let fake = pages(|marker, _| match marker {
        None => Some(page(&["a", "b"], Some("b"))),
        Some("b") => Some(page(&["b", "c"], None)),
        _ => None,
    });
    assert_eq!(
        ids(&fake.cloud("").list(&servers()).await.unwrap()),
        ["a", "b", "c"]
    );
}

#[tokio::test]
async fn keypairs_stay_wrapped_and_are_told_apart_by_name() {
    let fake = Fake::new(|seen, _| {
        (seen.path == "/compute/v2.1/os-keypairs").then(|| {
            say(
                200,
                json!({"keypairs": [{"keypair": {"name": "a"}}, {"keypair": {"name": "b"}}]}),
            )
        })
    });
    let items = fake
        .cloud("")
        .list(&list(Service::Compute, "os-keypairs", "keypairs"))
        .await
        .unwrap();
    assert_eq!(
        items,
        [
            json!({"keypair": {"name": "a"}}),
            json!({"keypair": {"name": "b"}})
        ]
    );
}

#[tokio::test]
async fn a_list_begins_anew_when_its_marker_was_deleted() {
    let fake = pages(|marker, count| match (marker, count) {
        (None, 1) => Some(page(&["a", "b"], Some("b"))),
        (Some("b"), _) => Some(say(
            400,
            json!({"badRequest": {"message": "marker [b] not found"}}),
        )),
        (None, _) => Some(page(&["a", "c"], None)),
        _ => None,
    });
    assert_eq!(
        ids(&fake.cloud("").list(&servers()).await.unwrap()),
        ["a", "c"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_to_its_end_is_an_error() {
    let vanishing = pages(|marker, _| match marker {
        None => Some(page(&["a"], Some("a"))),
        _ => Some(say(404, Value::Null)),
    });
    let circle = pages(|marker, _| match marker {
        None => Some(page(&["a"], Some("a"))),
        _ => Some(page(&["b"], Some("a"))),
    });
    let broken = pages(|marker, _| match marker {
        None => Some(page(&["a"], Some("a"))),
        _ => Some(say(500, Value::Null)),
    });
    let lost = pages(|marker, _| match marker {
        None => Some(page(&["a"], Some("a"))),
        _ => Some(say(0, Value::Null)),
    });
    let other = pages(|_, _| Some(say(200, json!({"instances": []}))));
    let refused = pages(|_, _| Some(say(403, Value::Null)));
    for (name, fake, words) in [
        ("vanishing", vanishing, "its pages kept vanishing"),
        ("circle", circle, "go round in a circle"),
        ("broken", broken, "answered GET servers with 500"),
        ("lost", lost, "was lost"),
        ("other", other, "no `servers`"),
        ("refused", refused, "answered 403"),
    ] {
        let error = fake.cloud("").list(&servers()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
        let unknown = matches!(error, CallError::Unknown { .. });
        assert_eq!(unknown, name != "refused", "{name}");
    }
}

#[tokio::test]
async fn a_service_that_ignores_markers_is_not_believed_to_be_complete() {
    let fake = pages(|_, _| Some(page(&["a", "b"], None)));
    let mut by_two = servers();
    by_two.query.push(("limit".into(), "2".into()));
    let error = fake.cloud("").list(&by_two).await.unwrap_err();
    assert!(error.to_string().contains("brought nothing new"), "{error}");
}

#[tokio::test]
async fn a_list_that_ends_early_for_a_token_goes_on_with_the_next() {
    let fake = Fake::new(|seen, fake| {
        (seen.path == "/compute/v2.1/servers").then_some(())?;
        Some(
            match (parameter(seen, "marker").as_deref(), fake.logins()) {
                (None, _) => page(&["a"], Some("a")),
                (Some(_), 1) => say(401, Value::Null),
                _ => page(&["b"], None),
            },
        )
    });
    assert_eq!(
        ids(&fake.cloud("").list(&servers()).await.unwrap()),
        ["a", "b"]
    );
}

#[tokio::test]
async fn a_list_that_keystone_cut_is_no_list() {
    let fake = Fake::new(|seen, _| {
        (seen.path == "/identity/v3/users").then_some(())?;
        Some(say(
            200,
            json!({"users": [{"id": "a"}], "truncated": true,
                "links": {"next": null, "self": "http://x", "previous": null}}),
        ))
    });
    let users = list(Service::Identity, "users", "users");
    let error = fake.cloud("").list(&users).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert!(error.to_string().contains("list_limit"), "{error}");
}
