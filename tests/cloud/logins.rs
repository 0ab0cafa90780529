//! Logging in: what is sent, what a refusal says, and when it is done again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;
use stackward::cloud::{Cloud, Options};
use stackward::kinds::call::{Call, CallError, Method, Service};

use crate::fake::{Fake, PASSWORD, Seen, catalog, profile, say, token_body};

fn call() -> Call {
    Call::new(Service::Compute, Method::Get, "servers/{id}", "servers/s1")
}

/// A Nova that accepts only the newest token, and everything else as usual.
fn strict(seen: &Seen, fake: &Fake) -> Option<crate::fake::Say> {
    if !seen.path.contains("/servers") {
        return None;
    }
    let known = seen.header("x-auth-token") == fake.newest_token();
    Some(say(if known { 200 } else { 401 }, json!({})))
}

/// What is sent to `/v3/auth/tokens` for these settings.
async fn login(auth: &str) -> Value {
    let fake = Fake::new(|seen, _| {
        (seen.line() == "POST /identity/v3/auth/tokens")
            .then(|| say(201, token_body(3600, catalog())).with("x-subject-token", "t"))
    });
    let text =
        format!("clouds: {{c: {{auth: {{auth_url: 'http://k.example/identity'}}, {auth}}}}}");
    let profile = Profile::from_clouds_yaml(&text, "c", None, &Environment::default()).unwrap();
    let options = Options {
        in_process: Some(fake.service()),
        ..Options::default()
    };
    let _ = Cloud::new(profile, options).unwrap().scope().await.unwrap();
    fake.seen()[0].json()["auth"].clone()
}

#[tokio::test]
async fn each_way_to_log_in_has_its_body() {
    for (settings, expected) in [
        (
            "auth_type: v3password, username: u, password: 0123, project_name: p",
            json!({"identity": {"methods": ["password"], "password": {"user": {
                "name": "u", "domain": {"id": "default"}, "password": "0123"}}},
                "scope": {"project": {"name": "p", "domain": {"id": "default"}}}}),
        ),
        (
            "username: u, password: pw, tenant-id: 42, user_domain_name: D",
            json!({"identity": {"methods": ["password"], "password": {"user": {
                "name": "u", "domain": {"name": "D"}, "password": "pw"}}},
                "scope": {"project": {"id": "42"}}}),
        ),
        (
            "user_id: U, password: pw, system_scope: all",
            json!({"identity": {"methods": ["password"], "password": {"user": {
                "id": "U", "password": "pw"}}}, "scope": {"system": {"all": true}}}),
        ),
        (
            "username: u, password: pw, domain_name: D",
            json!({"identity": {"methods": ["password"], "password": {"user": {
                "name": "u", "domain": {"name": "D"}, "password": "pw"}}},
                "scope": {"domain": {"name": "D"}}}),
        ),
        (
            "username: u, password: pw, project_name: p, default_domain: dd",
            json!({"identity": {"methods": ["password"], "password": {"user": {
                "name": "u", "domain": {"id": "dd"}, "password": "pw"}}},
                "scope": {"project": {"name": "p", "domain": {"id": "dd"}}}}),
        ),
        (
            "user_id: U, password: pw, trust_id: T",
            json!({"identity": {"methods": ["password"], "password": {"user": {
                "id": "U", "password": "pw"}}}, "scope": {"OS-TRUST:trust": {"id": "T"}}}),
        ),
        (
            "auth_type: v3token, token: abcd, project_id: P",
            json!({"identity": {"methods": ["token"], "token": {"id": "abcd"}},
                "scope": {"project": {"id": "P"}}}),
        ),
        (
            "auth_type: v3totp, username: u, passcode: 012345, project_id: P",
            json!({"identity": {"methods": ["totp"], "totp": {"user": {
                "name": "u", "domain": {"id": "default"}, "passcode": "012345"}}},
                "scope": {"project": {"id": "P"}}}),
        ),
        (
            "auth_type: v3multifactor, auth_methods: [v3password, v3totp], user_id: U, password: pw, passcode: 1",
            json!({"identity": {"methods": ["password", "totp"],
                "password": {"user": {"id": "U", "password": "pw"}},
                "totp": {"user": {"id": "U", "passcode": "1"}}}}),
        ),
        (
            // Its own project is the only one that it can have.
            "auth_type: v3applicationcredential, application_credential_id: A, \
             application_credential_secret: s, project_name: ignored",
            json!({"identity": {"methods": ["application_credential"],
                "application_credential": {"id": "A", "secret": "s"}}}),
        ),
        (
            "application_credential_name: n, application_credential_secret: s, username: u, \
             user_domain_id: D",
            json!({"identity": {"methods": ["application_credential"], "application_credential": {
                "name": "n", "user": {"name": "u", "domain": {"id": "D"}}, "secret": "s"}}}),
        ),
    ] {
        assert_eq!(login(settings).await, expected, "{settings}");
    }
}

#[tokio::test]
async fn settings_that_cannot_log_in_are_refused_before_anything_is_sent() {
    for (settings, message, hint) in [
        ("username: u", "there is no `password`", "OS_PASSWORD"),
        ("password: pw", "there is no `username`", "OS_USERNAME"),
        (
            "auth_type: v3kerberos",
            "auth_type `v3kerberos` is not supported",
            "v3applicationcredential",
        ),
        (
            "application_credential_name: n, application_credential_secret: s",
            "an application credential by name needs its user",
            "user_id",
        ),
        (
            "username: u, password: p, identity_api_version: 4",
            "`4` is not supported",
            "write 3",
        ),
        (
            "username: u, password: p, system_scope: some",
            "`some` is not supported",
            "`all`",
        ),
    ] {
        let text = format!("clouds: {{c: {{auth: {{auth_url: 'http://k'}}, {settings}}}}}");
        let error =
            Profile::from_clouds_yaml(&text, "c", None, &Environment::default()).unwrap_err();
        assert!(error.to_string().contains(message), "{settings}: {error}");
        assert!(
            error.hint().unwrap().contains(hint),
            "{settings}: {:?}",
            error.hint()
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_with_user_cloud_and_place() {
    let fake = Fake::new(|_, _| None);
    let text = "clouds:\n  prod:\n    auth:\n      auth_url: http://k.example/v3\n      username: eve\n      password: guess\n      project_name: p\n";
    let profile = Profile::from_clouds_yaml(text, "prod", None, &Environment::default()).unwrap();
    let options = Options {
        in_process: Some(fake.service()),
        ..Options::default()
    };
    let error = Cloud::new(profile, options)
        .unwrap()
        .send(&call(), None)
        .await
        .unwrap_err();
    let CallError::NotSent { message, hint } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        message,
        "Keystone at http://k.example/v3 refused the credentials of user `eve` (cloud `prod`): \
         The request you have made requires authentication."
    );
    let hint = hint.unwrap();
    assert!(hint.contains("clouds.yaml:6:17"), "{hint}");
    assert!(hint.contains("has a role on project `p`"), "{hint}");
}

#[tokio::test]
async fn an_application_credential_that_was_deleted_is_not_taken_for_a_wrong_address() {
    let fake = Fake::new(|seen, _| {
        let message = "Could not find Application Credential: A.";
        seen.path.contains("auth/tokens").then(|| {
            say(
                404,
                json!({"error": {"code": 404, "message": message, "title": "Not Found"}}),
            )
        })
    });
    let text = "clouds: {c: {auth: {auth_url: 'http://k.example', application_credential_id: A, application_credential_secret: s}}}";
    let profile = Profile::from_clouds_yaml(text, "c", None, &Environment::default()).unwrap();
    let options = Options {
        in_process: Some(fake.service()),
        ..Options::default()
    };
    let error = Cloud::new(profile, options)
        .unwrap()
        .scope()
        .await
        .unwrap_err();
    let CallError::NotSent { message, hint } = error else {
        panic!("{error:?}")
    };
    assert!(
        message.contains("refused the credentials of application credential A"),
        "{message}"
    );
    assert!(hint.unwrap().contains("may have been deleted"), "{message}");
}

#[tokio::test]
async fn a_wrong_project_is_told_from_a_wrong_password() {
    let fake = Fake::new(|seen, _| match seen.line().as_str() {
        "POST /v3/auth/tokens" if seen.json()["auth"]["scope"] != "unscoped" => {
            Some(say(401, json!({"error": {"message": "no"}})))
        }
        "GET /v3/auth/projects" => Some(say(
            200,
            json!({"projects": [{"name": "blue"}, {"name": "red"}]}),
        )),
        _ => None,
    });
    let error = fake.cloud("").send(&call(), None).await.unwrap_err();
    let CallError::NotSent { message, hint } = error else {
        panic!("{error:?}")
    };
    assert!(
        message.contains("gives no access to project `demo-project`"),
        "{message}"
    );
    assert_eq!(hint.unwrap(), "projects of this user: `blue`, `red`");
}

#[tokio::test]
async fn a_keystone_that_is_not_there_is_told_with_its_address_and_the_reason() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/identity", listener.local_addr().unwrap());
    drop(listener);
    let cloud = Cloud::new(crate::fake::profile_at(&url, ""), Options::default()).unwrap();
    let error = cloud.scope().await.unwrap_err();
    let CallError::NotSent { message, hint } = error else {
        panic!("{error:?}")
    };
    assert!(
        message.contains(&format!("Keystone at {url}/v3 cannot be reached")),
        "{message}"
    );
    assert!(message.contains("refused"), "{message}");
    assert!(hint.is_some());

    let nothing = Fake::new(|seen, _| seen.path.contains("tokens").then(|| say(404, Value::Null)));
    let error = nothing.cloud("").scope().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no Keystone at http://cloud.example/v3"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_tried_again_at_once() {
    let fake = Fake::new(|seen, _| {
        seen.path
            .contains("auth/tokens")
            .then(|| say(401, json!({"error": {"message": "no"}})))
    });
    let cloud = fake.cloud("");
    for _ in 0..50 {
        let _ = cloud.send(&call(), None).await.unwrap_err();
    }
    // Once with the scope and once without, to tell what was wrong.
    assert_eq!(fake.logins(), 2);
    let mut attempts = Vec::new();
    for _ in 0..3600 {
        let before = fake.logins();
        let _ = cloud.send(&call(), None).await.unwrap_err();
        attempts.push(fake.logins() - before);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let at: Vec<usize> = (0..attempts.len())
        .filter(|second| attempts[*second] > 0)
        .collect();
    assert_eq!(at, [30, 90, 210, 450, 930, 1530, 2130, 2730, 3330]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends_and_versions_are_not_asked_for_again() {
    let fake = Fake::new(strict);
    let cloud = fake.cloud("");
    let _ = cloud.send(&call(), None).await.unwrap();
    let expires = cloud.token_expires().unwrap();
    // A fifth of its hour before the end.
    tokio::time::advance(Duration::from_secs(2870)).await;
    let _ = cloud.send(&call(), None).await.unwrap();
    assert_eq!(fake.logins(), 1);
    tokio::time::advance(Duration::from_secs(15)).await;
    let _ = cloud.send(&call(), None).await.unwrap();
    assert_eq!(fake.logins(), 2);
    assert!(cloud.token_expires().unwrap() >= expires);
    assert_eq!(fake.asked("GET /compute/v2.1/").len(), 1);
    assert!(fake.asked("GET /compute/v2.1/servers/s1").len() == 3);
}

#[tokio::test]
async fn many_calls_at_once_log_in_once_and_ask_for_versions_once() {
    let fake = Fake::new(strict);
    let cloud = fake.cloud("");
    let call = call();
    let calls = (0..40).map(|_| cloud.send(&call, None));
    for outcome in futures_util::future::join_all(calls).await {
        assert_eq!(outcome.unwrap().status, 200);
    }
    assert_eq!(fake.logins(), 1);
    assert_eq!(fake.asked("GET /compute/v2.1/").len(), 1);
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_all_and_the_calls_go_through() {
    let revoked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&revoked);
    let fake = Fake::new(move |seen, fake| {
        if !seen.path.contains("/servers") {
            return None;
        }
        let old = flag.load(Ordering::Relaxed) && seen.header("x-auth-token") == "token-number-1";
        if old {
            Some(say(401, json!({})))
        } else {
            strict(seen, fake)
        }
    });
    let cloud = fake.cloud("");
    let _ = cloud.send(&call(), None).await.unwrap();
    revoked.store(true, Ordering::Relaxed);
    let post = Call::new(Service::Compute, Method::Post, "servers", "servers").json(json!({}));
    let calls = (0..20).map(|_| cloud.send(&post, None));
    for outcome in futures_util::future::join_all(calls).await {
        assert_eq!(outcome.unwrap().status, 200);
    }
    assert_eq!(fake.logins(), 2);
    let taken = fake.asked("POST /compute/v2.1/servers");
    let taken = taken
        .iter()
        .filter(|seen| seen.header("x-auth-token") == "token-number-2")
        .count();
    assert_eq!(taken, 20, "each write was accepted once");
}

#[tokio::test]
async fn a_service_that_refuses_every_token_does_not_make_a_storm_of_logins() {
    let fake = Fake::new(|seen, _| seen.path.contains("/servers").then(|| say(401, json!({}))));
    let cloud = fake.cloud("");
    for _ in 0..20 {
        let error = cloud.send(&call(), None).await.unwrap_err();
        assert_eq!(error.status(), Some(401), "{error:?}");
    }
    assert_eq!(fake.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_keystone_that_is_down_does_not_take_away_a_token_that_is_still_good() {
    let down = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&down);
    let fake = Fake::new(move |seen, fake| {
        if seen.path.contains("auth/tokens") && flag.load(Ordering::Relaxed) {
            return Some(say(503, Value::Null));
        }
        strict(seen, fake)
    });
    let cloud = fake.cloud("");
    let _ = cloud.send(&call(), None).await.unwrap();
    down.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(3000)).await;
    let _ = cloud.send(&call(), None).await.unwrap();
    tokio::time::advance(Duration::from_secs(700)).await;
    let error = cloud.send(&call(), None).await.unwrap_err();
    assert!(error.to_string().contains("answered 503"), "{error}");
    down.store(false, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(3)).await;
    let _ = cloud.send(&call(), None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_taken_when_they_work_and_the_old_ones_stay_until_then() {
    let fake = Fake::new(|seen, _| seen.path.contains("/servers").then(|| say(200, json!({}))));
    let cloud = fake.cloud("");
    let _ = cloud.send(&call(), None).await.unwrap();
    let mut wrong =
        "clouds: {test: {auth: {auth_url: 'http://cloud.example/v3', username: other, password: nonsense}}}".to_owned();
    let other = |text: &str| {
        Profile::from_clouds_yaml(text, "test", None, &Environment::default()).unwrap()
    };
    cloud.reload(other(&wrong)).unwrap();
    let _ = cloud.send(&call(), None).await.unwrap();
    assert_eq!(cloud.profile().origins().len(), profile("").origins().len());
    assert_eq!(
        fake.seen().last().unwrap().header("x-auth-token"),
        "token-number-1"
    );

    wrong = wrong.replace("nonsense", PASSWORD);
    cloud.reload(other(&wrong)).unwrap();
    let _ = cloud.send(&call(), None).await.unwrap();
    assert_eq!(
        fake.seen().last().unwrap().header("x-auth-token"),
        "token-number-2"
    );
    assert_eq!(
        fake.asked("POST /v3/auth/tokens").last().unwrap().json()["auth"]["identity"]["password"]["user"]
            ["name"],
        "other"
    );
}

/// A Keystone v2.0 of 2017, whose catalog has what DevStack had then.
fn keystone_v2(seen: &Seen) -> Option<crate::fake::Say> {
    let unscoped = include_str!("v2-unscoped.json");
    let tenants = include_str!("v2-tenants.json");
    let scoped = include_str!("v2-scoped.json");
    let text = |body: &str| Some(crate::fake::Say(200, Vec::new(), body.to_owned()));
    match seen.line().as_str() {
        "POST /v2.0/tokens" => {
            let auth = &seen.json()["auth"];
            if auth["passwordCredentials"]
                != json!({"username": "admin", "password": "s3cret-of-2017"})
            {
                return Some(say(
                    401,
                    json!({"error": {"message": "Invalid user / password", "code": 401}}),
                ));
            }
            match auth["tenantId"].as_str() {
                None => text(unscoped),
                Some("6c4e4d58cb9d4451b36e774b348e8813") => text(scoped),
                Some(_) => Some(say(401, json!({"error": {"message": "no such tenant"}}))),
            }
        }
        "GET /v2.0/tenants"
            if seen.header("x-auth-token") == "16ae22b6c36f4ebc97938f51b7d0631b" =>
        {
            text(tenants)
        }
        "GET /" if seen.host == "192.0.2.18" => Some(say(
            300,
            json!({"versions": {"values": [
            {"id": "v2.0", "status": "stable", "links": []}]}}),
        )),
        _ => None,
    }
}

fn old_cloud(fake: &Fake, auth_url: &str, more: &str) -> Cloud {
    let text = format!(
        "clouds:\n  old:\n    auth:\n      auth_url: {auth_url}\n      username: admin\n      password: s3cret-of-2017\n{more}"
    );
    let profile = Profile::from_clouds_yaml(&text, "old", None, &Environment::default()).unwrap();
    Cloud::new(
        profile,
        Options {
            in_process: Some(fake.service()),
            ..Options::default()
        },
    )
    .unwrap()
}

#[tokio::test]
async fn a_cloud_of_2017_is_used_through_keystone_v2() {
    let fake = Fake::new(|seen, _| match seen.path.as_str() {
        "/v2.1/6c4e4d58cb9d4451b36e774b348e8813/servers" => Some(say(200, json!({"servers": []}))),
        "/" if seen.host == "192.0.2.18" && seen.query == "glance" => None,
        _ => keystone_v2(seen),
    });
    for (auth_url, more) in [
        (
            "http://192.0.2.18:5000/v2.0",
            "      tenant_name: admin\n    identity_api_version: 2.0\n",
        ),
        (
            "http://192.0.2.18:5000/v3",
            "      tenant_name: admin\n    auth_type: v2password\n",
        ),
        (
            "http://192.0.2.18:5000/v2.0/",
            "      project_name: admin\n",
        ),
        ("http://192.0.2.18:5000", "      project_name: admin\n"),
        (
            "http://192.0.2.18:5000",
            "      tenant_id: 6c4e4d58cb9d4451b36e774b348e8813\n    identity_api_version: 2\n",
        ),
    ] {
        let cloud = old_cloud(&fake, auth_url, more);
        let scope = cloud.scope().await.unwrap();
        assert_eq!(
            scope.project_id.as_deref(),
            Some("6c4e4d58cb9d4451b36e774b348e8813"),
            "{auth_url}"
        );
        assert_eq!(
            scope.user_id.as_deref(),
            Some("135b2cb86962401c82044fd4ca9daae4")
        );
        assert_eq!(scope.endpoints[&Service::Image], "http://192.0.2.18:9292/");
        let call = Call::new(Service::Compute, Method::Get, "servers", "servers");
        assert_eq!(cloud.send(&call, None).await.unwrap().status, 200);
        let token = fake.seen().pop().unwrap().header("x-auth-token").to_owned();
        assert_eq!(token, "74e396f8202b481a9cbd95b319a4314b");
        // Its block storage is older than what this program speaks, and it has no network service.
        let network = cloud.endpoint(Service::Network).await.unwrap_err();
        assert!(
            network
                .to_string()
                .contains("its catalog has: compute, compute_legacy, ec2"),
            "{network}"
        );
    }
}

#[tokio::test]
async fn a_tenant_that_the_user_does_not_have_is_told_with_those_there_are() {
    let fake = Fake::new(|seen, _| keystone_v2(seen));
    let wrong = old_cloud(
        &fake,
        "http://192.0.2.18:5000/v2.0",
        "      tenant_name: prod\n",
    );
    let error = wrong.scope().await.unwrap_err();
    let CallError::NotSent { message, hint } = error else {
        panic!("{error:?}")
    };
    assert!(message.contains("no access to tenant `prod`"), "{message}");
    assert_eq!(hint.unwrap(), "projects of this user: admin, demo");
    let none = old_cloud(&fake, "http://192.0.2.18:5000/v2.0", "");
    let error = none.scope().await.unwrap_err();
    let CallError::NotSent { hint, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(hint.unwrap(), "set `project_name` to one of: admin, demo");
}

#[tokio::test]
async fn without_authentication_there_is_no_token_and_no_login() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let fake = Fake::new(move |seen, _| {
        let _ = counted.fetch_add(
            usize::from(!seen.header("x-auth-token").is_empty()),
            Ordering::Relaxed,
        );
        (seen.path == "/v2.0/networks").then(|| say(200, json!({"networks": []})))
    });
    let cloud =
        fake.cloud("    auth_type: none\n    network_endpoint_override: http://n.example/v2.0\n");
    let call = Call::new(Service::Network, Method::Get, "networks", "networks");
    assert_eq!(cloud.send(&call, None).await.unwrap().status, 200);
    assert_eq!((fake.logins(), count.load(Ordering::Relaxed)), (0, 0));
}
