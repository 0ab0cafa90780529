//! The sandbox's Keystone as its administrator uses it. The statuses and the words of the errors
//! are those of Keystone 2026.2, recorded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::sandbox::{Options, Request, Response, World};

struct Cloud {
    world: World,
    token: String,
    now: Timestamp,
}

impl Cloud {
    fn of(account: &str) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut world = World::new(Options::default(), now);
        let token = world.issue_token(account, account).unwrap();
        Self { world, token, now }
    }

    fn send(&mut self, method: &str, path: &str, body: Value) -> Response {
        let method: Method = method.parse().unwrap();
        let mut request = Request::new(method, &format!("/identity/v3/{path}")).token(&self.token);
        if !body.is_null() {
            request = request.json(body);
        }
        self.world.handle(&request, self.now)
    }

    /// Makes one, and gives its body.
    fn make(&mut self, collection: &str, one: &str, spec: Value) -> Value {
        let answer = self.send("POST", collection, json!({ one: spec }));
        assert_eq!(answer.status, 201, "{:?}", answer.value());
        answer.value()[one].clone()
    }

    fn refused(&mut self, method: &str, path: &str, body: Value) -> (u16, String) {
        let answer = self.send(method, path, body);
        let error = &answer.value()["error"];
        assert_eq!(error["code"], answer.status, "{method} {path}");
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        (answer.status, message)
    }

    fn names(&mut self, list: &str) -> Vec<String> {
        let answer = self.send("GET", list, Value::Null);
        let collection = list.split('?').next().unwrap().rsplit('/').next().unwrap();
        let items = answer.value()[collection].as_array().cloned();
        let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_owned();
        items.unwrap().iter().map(name).collect()
    }
}

fn id(one: &Value) -> String {
    one["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_made_has_what_a_real_one_has() {
    let mut cloud = Cloud::of("admin");
    let domain = cloud.make(
        "domains",
        "domain",
        json!({"name": "sw-domain",
        "description": "for a fixture"}),
    );
    let domain_id = id(&domain);
    let project = cloud.make(
        "projects",
        "project",
        json!({"name": "sw-project",
        "domain_id": domain_id, "description": "for a fixture", "tags": ["a", "b"]}),
    );
    let user = cloud.make(
        "users",
        "user",
        json!({"name": "sw-user", "domain_id": domain_id,
        "description": "for a fixture", "password": "s3cret", "default_project_id": id(&project),
        "stackward_password": "sw1:recorded"}),
    );
    let group = cloud.make(
        "groups",
        "group",
        json!({"name": "sw-group", "domain_id": domain_id,
        "description": "for a fixture"}),
    );
    let role = cloud.make(
        "roles",
        "role",
        json!({"name": "sw-role",
        "description": "for a fixture"}),
    );
    let service = cloud.make(
        "services",
        "service",
        json!({"type": "sw-type",
        "name": "sw-service", "description": "for a fixture"}),
    );
    let endpoint = cloud.make(
        "endpoints",
        "endpoint",
        json!({"service_id": id(&service),
        "interface": "public", "url": "http://127.0.0.1:1/sw", "region_id": "RegionOne",
        "description": "for a fixture"}),
    );
    let path = format!(
        "projects/{}/users/{}/roles/{}",
        id(&project),
        id(&user),
        id(&role)
    );
    assert_eq!(cloud.send("PUT", &path, Value::Null).status, 204);
    let assignments = cloud.send("GET", "role_assignments", Value::Null);
    let assignments = assignments.value()["role_assignments"]
        .as_array()
        .cloned()
        .unwrap();
    let assignment = assignments.last().cloned().unwrap();
    let link = assignment["links"]["assignment"].as_str().unwrap();
    assert!(link.ends_with(&path), "{link}");
    for (recorded, simulated) in [
        (include_str!("../src/kinds/testdata/domain.json"), &domain),
        (include_str!("../src/kinds/testdata/project.json"), &project),
        (include_str!("../src/kinds/testdata/user.json"), &user),
        (include_str!("../src/kinds/testdata/group.json"), &group),
        (include_str!("../src/kinds/testdata/role.json"), &role),
        (include_str!("../src/kinds/testdata/service.json"), &service),
        (
            include_str!("../src/kinds/testdata/endpoint.json"),
            &endpoint,
        ),
        (
            include_str!("../src/kinds/testdata/role-assignment.json"),
            &assignment,
        ),
    ] {
        let recorded: Value = serde_json::from_str(recorded).unwrap();
        assert_eq!(alike(&recorded), alike(simulated));
    }
}

/// Without what differs from cloud to cloud.
fn alike(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), alike(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::String(text) if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            json!("<id>")
        }
        Value::String(text) if text.contains("/v3/") => json!("<link>"),
        other => other.clone(),
    }
}

#[test]
fn what_is_refused_is_refused_in_keystones_words() {
    let mut cloud = Cloud::of("admin");
    let domain = id(&cloud.make("domains", "domain", json!({"name": "d"})));
    let project = cloud.make(
        "projects",
        "project",
        json!({"name": "p", "domain_id": domain}),
    );
    let user = id(&cloud.make("users", "user", json!({"name": "u", "domain_id": domain})));
    let role = id(&cloud.make("roles", "role", json!({"name": "r"})));
    let service = id(&cloud.make("services", "service", json!({"type": "t"})));
    let project = id(&project);
    let conflict = "Conflict occurred attempting to store ";
    let endpoint = |field: &str, value: &str| {
        let mut endpoint = json!({"service_id": service, "interface": "public", "url": "http://x"});
        endpoint[field] = json!(value);
        json!({ "endpoint": endpoint })
    };
    let cases = [
        ("POST", "domains".to_owned(), json!({"domain": {"name": "d"}}), 409,
            format!("{conflict}project - it is not permitted to have two projects acting as domains with the same name: d.")),
        ("POST", "projects".to_owned(), json!({"project": {"name": "p", "domain_id": domain}}), 409,
            format!("{conflict}project - it is not permitted to have two projects with either the same name or same id in the same domain: name is p, project id {project}.")),
        ("POST", "projects".to_owned(), json!({"project": {"name": "p2", "domain_id": "nope"}}), 400,
            "Could not find domain: nope.".to_owned()),
        ("POST", "groups".to_owned(), json!({"group": {"name": "g", "domain_id": "zz"}}), 404,
            "Could not find domain: zz.".to_owned()),
        ("POST", "users".to_owned(), json!({"user": {"name": "u", "domain_id": domain}}), 409,
            format!("{conflict}user - Duplicate entry found with name u at domain ID {domain}.")),
        ("POST", "roles".to_owned(), json!({"role": {"name": "r"}}), 409,
            format!("{conflict}role - Duplicate entry found with name r.")),
        ("POST", "users".to_owned(), json!({"user": {"name": ""}}), 400,
            "Invalid input for field/attribute name. Value: . '' should be non-empty".to_owned()),
        ("POST", "projects".to_owned(), json!({"project": {}}), 400,
            "Invalid input for field/attribute project. Value: {}. 'name' is a required property".to_owned()),
        ("POST", "users".to_owned(), json!({}), 400, "'user' is a required property".to_owned()),
        ("PATCH", format!("users/{user}"), json!({"user": {"domain_id": "default"}}), 400,
            "Cannot change Domain ID".to_owned()),
        ("PATCH", format!("users/{user}"), json!({"user": {}}), 400,
            "Invalid input for field/attribute user. Value: {}. {} should be non-empty".to_owned()),
        ("PATCH", "services/zzz".to_owned(), json!({"service": {"enabled": true}}), 404,
            "Could not find service: zzz.".to_owned()),
        ("POST", "endpoints".to_owned(), endpoint("region_id", "nowhere"), 400,
            "Expecting to find endpoint region_id in region table. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.".to_owned()),
        ("POST", "endpoints".to_owned(), endpoint("service_id", "nope"), 400,
            "Expecting to find endpoint service_id in service table. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.".to_owned()),
        ("POST", "endpoints".to_owned(), endpoint("url", "not a url"), 400,
            "Invalid input for field/attribute url. Value: not a url. 'not a url' does not match '^[a-zA-Z0-9+.-]+:.+'".to_owned()),
        ("PUT", format!("projects/nope/users/{user}/roles/{role}"), Value::Null, 404,
            "Could not find project: nope.".to_owned()),
        ("PUT", format!("projects/{project}/users/nope/roles/{role}"), Value::Null, 404,
            "Could not find user: nope.".to_owned()),
        ("PUT", format!("projects/{project}/users/{user}/roles/nope"), Value::Null, 404,
            "Could not find role: nope.".to_owned()),
        ("GET", format!("projects/{project}/users/{user}/roles/{role}"), Value::Null, 404,
            format!("Could not find role assignment with role: {role}, user or group: {user}, project, domain, or system: {project}.")),
        ("DELETE", "roles/zzz".to_owned(), Value::Null, 404, "Could not find role: zzz.".to_owned()),
        ("DELETE", format!("domains/{domain}"), Value::Null, 403,
            "Cannot delete a domain that is enabled, please disable it first.".to_owned()),
    ];
    for (method, path, body, status, message) in cases {
        assert_eq!(
            cloud.refused(method, &path, body),
            (status, message),
            "{method} {path}"
        );
    }
}

#[test]
fn what_goes_takes_along_what_it_takes_along_in_keystone() {
    let mut cloud = Cloud::of("admin");
    let domain = id(&cloud.make("domains", "domain", json!({"name": "d"})));
    let user = id(&cloud.make("users", "user", json!({"name": "u", "domain_id": domain})));
    let group = id(&cloud.make("groups", "group", json!({"name": "g", "domain_id": domain})));
    let role = id(&cloud.make("roles", "role", json!({"name": "r"})));
    cloud.make(
        "roles",
        "role",
        json!({"name": "of-domain", "domain_id": domain}),
    );
    assert!(!cloud.names("roles").contains(&"of-domain".to_owned()));
    assert_eq!(
        cloud.names(&format!("roles?domain_id={domain}")),
        ["of-domain"]
    );
    let grant = format!("domains/{domain}/groups/{group}/roles/{role}");
    for _ in 0..2 {
        assert_eq!(cloud.send("PUT", &grant, Value::Null).status, 204);
        assert_eq!(cloud.send("GET", &grant, Value::Null).status, 204);
    }
    let role = format!("roles/{role}");
    assert_eq!(cloud.send("DELETE", &role, Value::Null).status, 204);
    assert_eq!(cloud.send("GET", &grant, Value::Null).status, 404);

    let disable = json!({"domain": {"enabled": false}});
    let domain = format!("domains/{domain}");
    assert_eq!(cloud.send("PATCH", &domain, disable).status, 200);
    assert_eq!(cloud.send("DELETE", &domain, Value::Null).status, 204);
    let user = format!("users/{user}");
    assert_eq!(cloud.send("GET", &user, Value::Null).status, 404);

    let service = id(&cloud.make("services", "service", json!({"type": "t"})));
    let endpoint = json!({"service_id": service, "interface": "admin", "url": "http://x"});
    let endpoint = id(&cloud.make("endpoints", "endpoint", endpoint));
    let service = format!("services/{service}");
    assert_eq!(cloud.send("DELETE", &service, Value::Null).status, 204);
    let endpoint = format!("endpoints/{endpoint}");
    assert_eq!(cloud.send("GET", &endpoint, Value::Null).status, 404);
}

#[test]
fn who_is_disabled_is_logged_out_and_stays_out() {
    let mut cloud = Cloud::of("admin");
    let demo = cloud.world.issue_token("demo", "demo").unwrap();
    let users = cloud.send("GET", "users?name=demo", Value::Null);
    let user = format!("users/{}", id(&users.value()["users"][0]));
    let login = |cloud: &mut Cloud, password: &str| {
        let user = json!({"name": "demo", "domain": {"id": "default"}, "password": password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity}});
        cloud.send("POST", "auth/tokens", body).status
    };
    assert_eq!(login(&mut cloud, "let-me-in"), 201);
    let change = json!({"user": {"password": "other"}});
    assert_eq!(cloud.send("PATCH", &user, change).status, 200);
    assert_eq!(
        (login(&mut cloud, "let-me-in"), login(&mut cloud, "other")),
        (401, 201)
    );
    let change = json!({"user": {"enabled": false}});
    assert_eq!(cloud.send("PATCH", &user, change).status, 200);
    assert_eq!(login(&mut cloud, "other"), 401);
    let admin = std::mem::replace(&mut cloud.token, demo);
    assert_eq!(cloud.send("GET", "regions", Value::Null).status, 401);
    cloud.token = admin;
    let change = json!({"user": {"enabled": true}});
    assert_eq!(cloud.send("PATCH", &user, change).status, 200);
    assert_eq!(login(&mut cloud, "other"), 201);
}

#[test]
fn only_administrators_may() {
    let mut cloud = Cloud::of("demo");
    for (method, path, action) in [
        ("GET", "users", "list_users"),
        ("GET", "groups", "list_groups"),
        ("GET", "domains", "list_domains"),
        ("GET", "role_assignments", "list_role_assignments"),
        ("POST", "users", "create_user"),
        ("PATCH", "services/x", "update_service"),
        ("DELETE", "endpoints/x", "delete_endpoint"),
    ] {
        let body = if method == "GET" {
            Value::Null
        } else {
            json!({"user": {"name": "x"}})
        };
        let (status, message) = cloud.refused(method, path, body);
        assert_eq!(status, 403, "{method} {path}");
        let words =
            format!("You are not authorized to perform the requested action: identity:{action}.");
        assert_eq!(message, words);
    }
    assert_eq!(cloud.send("GET", "regions", Value::Null).status, 200);
}

/// The id of a cloud's own user, and the list below it.
fn credentials(cloud: &mut Cloud) -> (String, String) {
    let check = Request::get("/identity/v3/auth/tokens").token(&cloud.token);
    let check = check.header("X-Subject-Token", &cloud.token);
    let token = cloud.world.handle(&check, cloud.now);
    let user = id(&token.value()["token"]["user"]);
    let list = format!("users/{user}/application_credentials");
    (user, list)
}

#[test]
fn only_its_user_makes_an_application_credential() {
    let mut cloud = Cloud::of("demo");
    let (user, list) = credentials(&mut cloud);
    let spec = json!({"name": "c", "secret": "s3cret"});
    let made = cloud.make(&list, "application_credential", spec.clone());
    assert_eq!(
        (&made["secret"], &made["user_id"]),
        (&json!("s3cret"), &json!(user))
    );
    for never_set in ["description", "expires_at", "unrestricted", "system"] {
        assert_eq!(made[never_set], Value::Null);
    }
    assert!(made.get("access_rules").is_none());
    let body = json!({ "application_credential": spec });
    let twin = cloud.refused("POST", &list, body.clone());
    let words = "Conflict occurred attempting to store application_credential - Duplicate entry found with name c.";
    assert_eq!(twin, (409, words.to_owned()));
    let one = format!("{list}/{}", id(&made));
    assert!(
        cloud.send("GET", &one, Value::Null).value()["application_credential"]["secret"].is_null()
    );
    assert_eq!(cloud.send("PATCH", &one, body.clone()).status, 405);

    cloud.token = cloud.world.issue_token("demo2", "demo2").unwrap();
    let (_, theirs) = credentials(&mut cloud);
    for (method, path, action) in [
        ("GET", &list, "list_application_credentials"),
        ("POST", &list, "create_application_credential"),
        ("GET", &one, "get_application_credential"),
        ("DELETE", &one, "delete_application_credential"),
    ] {
        let (status, message) = cloud.refused(method, path, body.clone());
        assert!(status == 403 && message.contains(action), "{message}");
    }
    cloud.token = cloud.world.issue_token("admin", "admin").unwrap();
    assert_eq!(cloud.refused("POST", &list, body).0, 403);
    assert_eq!(cloud.send("GET", &list, Value::Null).status, 200);
    // Below whom it is asked for does not matter.
    let elsewhere = format!("{theirs}/{}", id(&made));
    assert_eq!(cloud.send("GET", &elsewhere, Value::Null).status, 200);
    assert_eq!(cloud.send("DELETE", &elsewhere, Value::Null).status, 204);
    assert_eq!(cloud.send("GET", &one, Value::Null).status, 404);
}

#[test]
fn roles_of_an_application_credential_are_the_users_with_what_they_imply() {
    let mut cloud = Cloud::of("demo");
    let (_, list) = credentials(&mut cloud);
    let all = cloud.make(&list, "application_credential", json!({"name": "all"}));
    let named = |one: &Value| -> Vec<String> {
        let roles = one["roles"].as_array().unwrap().iter();
        roles
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(named(&all), ["member", "reader"]);
    for (asked, has) in [
        ("member", &["member", "reader"][..]),
        ("reader", &["reader"]),
    ] {
        let mut roles = all["roles"].as_array().unwrap().iter();
        let role = roles.find(|it| it["name"] == asked).unwrap();
        let spec = json!({"name": asked, "roles": [{"id": role["id"]}]});
        assert_eq!(
            named(&cloud.make(&list, "application_credential", spec)),
            has
        );
    }
    let unassigned = json!({"application_credential": {"name": "x", "roles": [{"name": "admin"}]}});
    let (status, message) = cloud.refused("POST", &list, unassigned);
    assert!(
        status == 400 && message.contains("with unassigned role"),
        "{message}"
    );
}

#[test]
fn access_rules_are_whole_and_outlive_the_credential() {
    let mut cloud = Cloud::of("demo");
    let (user, list) = credentials(&mut cloud);
    let rule = json!({"path": "/v2.1/servers", "method": "GET", "service": "compute"});
    let mut make = |name: &str| {
        let spec = json!({"name": name, "access_rules": [rule]});
        let made = cloud.make(&list, "application_credential", spec);
        let target = format!("{list}/{}", id(&made));
        assert_eq!(cloud.send("DELETE", &target, Value::Null).status, 204);
        made["access_rules"].clone()
    };
    let first = make("a");
    assert_eq!(first[0]["service"], "compute");
    assert_eq!(first, make("b"), "the same rule has the same id");
    let left = cloud.send("GET", &format!("users/{user}/access_rules"), Value::Null);
    assert_eq!(
        left.value()["access_rules"].as_array().map(Vec::len),
        Some(1)
    );
    for (field, value, status, says) in [
        (
            "method",
            json!("TRACE"),
            400,
            "'TRACE' is not one of ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']",
        ),
        ("path", json!("x"), 400, "does not match"),
        ("service", Value::Null, 500, ""),
    ] {
        let mut wrong = rule.clone();
        wrong[field] = value;
        let body = json!({"application_credential": {"name": "w", "access_rules": [wrong]}});
        let (code, message) = cloud.refused("POST", &list, body);
        assert!(code == status && message.contains(says), "{message}");
    }
    let twins = json!({"application_credential": {"name": "w", "access_rules": [rule, rule]}});
    assert_eq!(cloud.refused("POST", &list, twins).0, 409);
}

#[test]
fn an_application_credential_ends_and_a_restricted_one_makes_no_other() {
    let mut cloud = Cloud::of("demo");
    let (_, list) = credentials(&mut cloud);
    let past = |at: &str| json!({"application_credential": {"name": "p", "expires_at": at}});
    for (at, says) in [
        ("2025-01-01T00:00:00Z", "must not be before now"),
        ("2030-01-01T00:00:00+02:00", "not in expected format"),
        ("tomorrow", "not in expected format"),
    ] {
        let (status, message) = cloud.refused("POST", &list, past(at));
        assert!(status == 400 && message.contains(says), "{message}");
    }
    let spec = json!({"name": "c", "secret": "s", "expires_at": "2026-01-01T01:00:00.5Z"});
    let one = cloud.make(&list, "application_credential", spec);
    assert_eq!(one["expires_at"], "2026-01-01T01:00:00.500000");
    let free = json!({"name": "f", "secret": "s", "unrestricted": true});
    let free = cloud.make(&list, "application_credential", free);
    let login = |cloud: &mut Cloud, one: &Value| {
        let proof = json!({"id": one["id"], "secret": "s"});
        let identity =
            json!({"methods": ["application_credential"], "application_credential": proof});
        let answer = cloud.send(
            "POST",
            "auth/tokens",
            json!({"auth": {"identity": identity}}),
        );
        answer.header("X-Subject-Token").map(str::to_owned)
    };
    cloud.token = login(&mut cloud, &one).unwrap();
    let body = json!({"application_credential": {"name": "by-program"}});
    let (status, message) = cloud.refused("POST", &list, body.clone());
    assert!(
        status == 403 && message.contains("managing additional"),
        "{message}"
    );
    assert_eq!(cloud.send("GET", &list, Value::Null).status, 200);
    cloud.token = login(&mut cloud, &free).unwrap();
    assert_eq!(cloud.send("POST", &list, body).status, 201);
    cloud.now = "2026-01-01T01:00:01Z".parse().unwrap();
    assert_eq!(login(&mut cloud, &one), None);
    assert_eq!(cloud.names(&list).len(), 3, "it is still there");
}
