//! The fault switchboard, the counts, and HTTP.

use super::*;

#[test]
fn faults_do_what_the_rule_says_as_often_as_it_says() {
    let mut cloud = Cloud::new();
    let create = || Request::post("/volume/v3/volumes", json!({"volume": {"size": 1}}));
    let count = |cloud: &mut Cloud| {
        cloud.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len()
    };
    let unavailable = Effect::Answer {
        status: 503,
        body: Value::Null,
        headers: Vec::new(),
    };
    cloud.world.add_fault(
        Rule::new("volume", unavailable)
            .on("POST", "/v3/volumes")
            .from_nth(2)
            .times(1),
    );
    assert_eq!(cloud.send(create()).status, 202);
    assert_eq!(cloud.send(create()).status, 503);
    assert_eq!(cloud.send(create()).status, 202);
    assert_eq!(count(&mut cloud), 2);
    cloud.world.clear_faults();

    cloud.world.add_fault(
        Rule::new("volume", Effect::DoAndDrop)
            .on("POST", "/v3/volumes")
            .times(1),
    );
    assert_eq!(cloud.send(create()).delivery, Delivery::Dropped);
    assert_eq!(count(&mut cloud), 3, "it was done");
    cloud.world.clear_faults();

    cloud.world.add_fault(
        Rule::new("volume", Effect::Drop)
            .on("POST", "/v3/volumes")
            .times(1),
    );
    assert_eq!(cloud.send(create()).delivery, Delivery::Dropped);
    assert_eq!(count(&mut cloud), 3, "it was not done");
    cloud.world.clear_faults();

    let gateway = Effect::DoAndAnswer {
        status: 504,
        body: json!("<html>"),
    };
    cloud
        .world
        .add_fault(Rule::new("volume", gateway).on("POST", "/v3/*").times(1));
    assert_eq!(cloud.send(create()).status, 504);
    assert_eq!(count(&mut cloud), 4);
}

#[test]
fn lists_can_lie_by_omission_and_by_age() {
    let mut cloud = Cloud::new();
    let kept = cloud.volume();
    cloud.world.add_fault(
        Rule::new("volume", Effect::Stale)
            .on("GET", "/v3/volumes")
            .times(1),
    );
    let newer = cloud.volume();
    let stale = cloud.get("/volume/v3/volumes");
    assert_eq!(stale["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(stale["volumes"][0]["id"], kept);
    assert_eq!(
        cloud.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let omission = Omission {
        ids: vec![newer],
        ..Omission::default()
    };
    cloud
        .world
        .add_fault(Rule::new("volume", Effect::Omit(omission)).on("GET", "/v3/volumes"));
    assert_eq!(
        cloud.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn requests_are_counted_by_route() {
    let mut cloud = Cloud::new();
    let volume = cloud.volume();
    cloud.world.reset_requests();
    cloud.get(&format!("/volume/v3/volumes/{volume}"));
    cloud.get(&format!("/volume/v3/volumes/{volume}"));
    let counts = cloud.world.requests();
    assert_eq!(counts.len(), 1);
    assert_eq!(
        (counts[0].route.as_str(), counts[0].count),
        ("/v3/volumes/{id}", 2)
    );
}

#[tokio::test]
async fn over_http_uploads_are_measured_and_faults_break_connections() {
    let running = Sandbox::start(Options::default(), "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let token = running.world().issue_token("demo", "demo").unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", running.url());
    let body = r#"{"name": "x", "disk_format": "raw", "container_format": "bare"}"#;
    let made = client
        .post(url("/image/v2/images"))
        .header("X-Auth-Token", &token)
        .body(body);
    let made: Value =
        serde_json::from_str(&made.send().await.unwrap().text().await.unwrap()).unwrap();
    let target = url(&format!(
        "/image/v2/images/{}",
        made["id"].as_str().unwrap()
    ));
    let upload = client
        .put(format!("{target}/file"))
        .header("X-Auth-Token", &token)
        .body("hello");
    assert_eq!(upload.send().await.unwrap().status(), 204);
    let shown = client
        .get(&target)
        .header("X-Auth-Token", &token)
        .send()
        .await
        .unwrap();
    let shown: Value = serde_json::from_str(&shown.text().await.unwrap()).unwrap();
    assert_eq!(shown["checksum"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(
        (&shown["size"], &shown["status"]),
        (&json!(5), &json!("active"))
    );

    let rules = r#"{"faults": [{"service": "image", "method": "GET", "count": 1, "effect": "drop"},
        {"service": "image", "method": "GET", "count": 1, "effect": {"truncate": {"bytes": 10}}}]}"#;
    let set = client
        .put(url("/sandbox/faults"))
        .body(rules)
        .send()
        .await
        .unwrap();
    assert_eq!(set.status(), 200, "{}", set.text().await.unwrap());
    let get = || client.get(&target).header("X-Auth-Token", &token).send();
    assert!(
        get().await.is_err(),
        "the connection breaks before an answer"
    );
    assert!(
        get().await.unwrap().bytes().await.is_err(),
        "the body breaks off"
    );
    assert_eq!(get().await.unwrap().status(), 200);
    running.stop();
}
