//! Kubernetes' API for writing, as clients of it ask: by HTTP, of the real program on the simulated cloud.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says where"
)]

mod site;
mod writable;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use site::{PATIENCE, Site};
use writable::{Answer, SECRETS, TOKEN, VOLUMES, Writable, ask, exchange, send, volume};

const CANARY: &str = "canaryText31f7";

#[test]
fn an_object_is_made_changed_and_deleted_and_there_is_a_file_for_it() {
    let daemon = Writable::start(&[]);
    let Answer(code, _, made) = daemon.ask("POST", VOLUMES, &volume("a", 1));
    assert_eq!(code, 201, "{made}");
    assert_eq!(daemon.files(), ["default.volume.a.yaml"]);
    let path = daemon.folder().join("default.volume.a.yaml");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.clone()), mode(daemon.folder())), (0o600, 0o700));
    // What was written is read at once.
    let one = format!("{VOLUMES}/a");
    let read = daemon.get(&one);
    assert_eq!(read["spec"], json!({"resource": {"size": 1}}));
    assert_eq!(read["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(daemon.ask("POST", VOLUMES, &volume("a", 1)).0, 409);

    let merge = r#"{"metadata": {"labels": {"app": "blog"}}, "spec": {"resource": {"size": 2}}}"#;
    let Answer(code, _, changed) = daemon.patch(&one, "merge-patch+json", merge);
    assert_eq!(
        (code, &changed["spec"]["resource"]["size"]),
        (200, &json!(2)),
        "{changed}"
    );
    assert_eq!(
        daemon.get(&one)["metadata"]["labels"],
        json!({"app": "blog"})
    );
    let steps = r#"[{"op": "test", "path": "/spec/resource/size", "value": 2},
        {"op": "replace", "path": "/spec/resource/size", "value": 3}, {"op": "remove", "path": "/metadata/labels/app"}]"#;
    assert_eq!(daemon.patch(&one, "json-patch+json", steps).0, 200);
    assert_eq!(daemon.patch(&one, "json-patch+json", steps).0, 422);
    let mut read = daemon.get(&one);
    assert_eq!(
        (
            &read["spec"]["resource"]["size"],
            &read["metadata"]["labels"]
        ),
        (&json!(3), &Value::Null)
    );

    // The same is nothing new, an old version is a conflict, and a new one is not.
    let old = read.clone();
    read["spec"]["resource"]["description"] = json!("mine");
    assert_eq!(daemon.ask("PUT", &one, &old.to_string()).0, 200);
    assert_eq!(daemon.ask("PUT", &one, &read.to_string()).0, 200);
    let Answer(code, _, body) = daemon.ask("PUT", &one, &old.to_string());
    assert_eq!((code, &body["reason"]), (409, &json!("Conflict")), "{body}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\n    description: mine\n"), "{text}");

    daemon.until(&one, |_, it| it["status"]["reason"] == "InSync");
    let wrong = r#"{"preconditions": {"uid": "another"}}"#;
    assert_eq!(daemon.ask("DELETE", &one, wrong).0, 409);
    assert_eq!(
        daemon.ask("DELETE", &format!("{one}?dryRun=All"), "").0,
        200
    );
    assert_eq!(daemon.files().len(), 1);
    let Answer(code, _, going) =
        daemon.ask("DELETE", &one, r#"{"propagationPolicy": "Background"}"#);
    assert_eq!(code, 200, "{going}");
    assert!(daemon.files().is_empty());
    assert!(
        going["metadata"]["deletionTimestamp"].is_string(),
        "{going}"
    );
    assert_eq!(
        going["metadata"]["finalizers"],
        json!(["stackward.dev/resource"])
    );
    daemon.until(&one, |code, _| code == 404);
    assert_eq!(daemon.ask("DELETE", &one, "").0, 404);
    let metrics = site::get(&daemon.address, "/metrics");
    let counted = "stackward_kubernetes_writes_total{outcome=\"done\",verb=\"create\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn what_is_being_deleted_comes_back_when_it_is_made_again() {
    let daemon = Writable::start(&["--prune-data-grace", "1h"]);
    let one = format!("{VOLUMES}/a");
    assert_eq!(daemon.ask("POST", VOLUMES, &volume("a", 1)).0, 201);
    daemon.until(&one, |_, it| it["status"]["reason"] == "InSync");
    let id = daemon.get(&one)["status"]["id"].clone();
    assert_eq!(daemon.ask("DELETE", &one, "").0, 200);
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    assert_eq!(daemon.patch(&one, "merge-patch+json", patch).0, 409);
    assert!(daemon.get(&one)["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(daemon.ask("POST", VOLUMES, &volume("a", 1)).0, 201);
    let back = daemon.get(&one);
    assert!(back["metadata"]["deletionTimestamp"].is_null(), "{back}");
    assert_eq!(back["status"]["id"], id);
}

#[test]
fn only_who_has_a_token_or_can_open_the_socket_writes() {
    // The password is "right".
    let web =
        "basic_auth_users: {me: $2b$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC}\n";
    let site = Site::new(&[]);
    fs::write(site.directory.path().join("web.yml"), web).unwrap();
    let guarded = Writable::on(site, &["--web-config", "web.yml", "--state-dir", "state"]);
    let open = Writable::start(&[]);
    let code = |daemon: &Writable, method: &str, authorization: &str| {
        let headers = format!("Authorization: {authorization}\r\n");
        let Answer(code, _, body) = daemon.send(method, VOLUMES, &headers, &volume("a", 1));
        if code >= 400 {
            assert_eq!(
                (&body["kind"], &body["code"]),
                (&json!("Status"), &json!(code)),
                "{body}"
            );
        }
        code
    };
    let (right, wrong) = (
        format!("Bearer {TOKEN}"),
        format!("Bearer {}", TOKEN.replace('0', "1")),
    );
    let (guest, stranger) = ("Basic bWU6cmlnaHQ=", "Basic bWU6d3Jvbmc=");
    for (daemon, method, authorization, expected) in [
        (&open, "POST", "", 401),
        (&open, "POST", wrong.as_str(), 401),
        (&open, "GET", wrong.as_str(), 401),
        (&open, "GET", "", 200),
        (&guarded, "GET", "", 401),
        (&guarded, "GET", guest, 200),
        (&guarded, "POST", guest, 403),
        (&guarded, "POST", stranger, 401),
        (&guarded, "GET", right.as_str(), 200),
    ] {
        assert_eq!(
            code(daemon, method, authorization),
            expected,
            "{method} {authorization}"
        );
    }
    assert!(open.files().is_empty() && guarded.files().is_empty());
    assert_eq!(code(&open, "POST", &right), 201);
    assert_eq!(code(&guarded, "POST", &right), 201);
    let socket = guarded.site.directory.path().join("state/control.sock");
    let stream = || UnixStream::connect(&socket).unwrap();
    let Answer(made, _, body) = exchange(stream(), "POST", VOLUMES, "", &volume("b", 1));
    assert_eq!(made, 201, "{body}");
    assert_eq!(exchange(stream(), "GET", VOLUMES, "", "").0, 200);
    // A token that is taken out of the file is none any more.
    let tokens = guarded.site.directory.path().join("tokens");
    fs::write(tokens, format!("{}\n", TOKEN.replace('0', "2"))).unwrap();
    guarded.daemon.signal("-HUP");
    let end = Instant::now() + PATIENCE;
    while code(&guarded, "GET", &right) != 401 {
        assert!(Instant::now() < end, "the token is still good");
    }
}

#[test]
fn what_is_wrong_is_said_and_never_becomes_a_file() {
    let own = "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {name: own}\nspec: {resource: {size: 1}}\n";
    let daemon = Writable::beside(own, &[]);
    let huge = volume(&"x".repeat(4 * 1024 * 1024), 1);
    let other = volume("a", 1).replace("stackward.dev/v1alpha1", "v1");
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data})
            .to_string()
    };
    let unknown = volume("a", 1).replace("\"size\"", "\"sise\":1,\"size\"");
    let doubled = volume("a", 1).replace("\"size\"", "\"size\":2,\"size\"");
    let yaml = "Content-Type: application/yaml\r\n";
    let proto = "Content-Type: application/vnd.kubernetes.protobuf\r\n";
    let strict = format!("{VOLUMES}?fieldValidation=Strict");
    let cases: &[(&str, &str, &str, &str, u16, &str)] = &[
        ("POST", VOLUMES, "", "", 400, "not JSON"),
        ("POST", VOLUMES, "", "{", 400, "not JSON"),
        ("POST", VOLUMES, "", "[]", 400, "not an object"),
        ("POST", VOLUMES, "", "{}", 400, "metadata.name is missing"),
        ("POST", VOLUMES, yaml, "a: [", 400, "not YAML"),
        ("POST", VOLUMES, proto, "k8s", 415, "kubectl apply -f"),
        (
            "POST",
            VOLUMES,
            "Content-Type: text/html\r\n",
            "x",
            415,
            "accepted media types",
        ),
        (
            "POST",
            VOLUMES,
            "Accept: text/html\r\n",
            "{}",
            406,
            "application/json",
        ),
        (
            "POST",
            VOLUMES,
            "",
            &other,
            400,
            "apiVersion of the object is `v1`",
        ),
        ("POST", VOLUMES, "", &huge, 413, "larger than 3145728 bytes"),
        (
            "POST",
            VOLUMES,
            "",
            &volume("a", 0),
            422,
            "spec.resource.size",
        ),
        (
            "POST",
            &strict,
            "",
            &unknown,
            422,
            "spec.resource.sise: unknown field",
        ),
        ("POST", &strict, "", &doubled, 400, "duplicate key"),
        (
            "POST",
            &format!("{VOLUMES}?dryRun=Some"),
            "",
            &volume("a", 1),
            400,
            "dryRun",
        ),
        ("POST", VOLUMES, "", &volume("Upper", 1), 422, "upper-case"),
        (
            "POST",
            VOLUMES,
            "",
            &volume("../../evil", 1),
            422,
            "metadata.name",
        ),
        (
            "POST",
            VOLUMES,
            "",
            &volume(&"x".repeat(250), 1),
            422,
            "too long for the name of a file",
        ),
        (
            "PUT",
            &format!("{VOLUMES}/..%2F..%2Fevil"),
            "",
            &volume("../../evil", 1),
            422,
            "metadata.name",
        ),
        (
            "DELETE",
            &format!("{VOLUMES}/..%2F..%2Fown.yaml"),
            "",
            "",
            422,
            "metadata.name",
        ),
        (
            "POST",
            &VOLUMES.replace("default", "..%2Fup"),
            "",
            &volume("a", 1),
            422,
            "metadata.namespace",
        ),
        ("POST", VOLUMES, "", &volume("own", 2), 403, "own.yaml:1"),
        (
            "DELETE",
            &format!("{VOLUMES}/own"),
            "",
            "",
            403,
            "edit that file",
        ),
        (
            "PUT",
            &format!("{VOLUMES}/own"),
            "",
            &volume("own", 2),
            403,
            "own.yaml:1",
        ),
        (
            "PUT",
            &format!("{VOLUMES}/none"),
            "",
            &volume("none", 2),
            404,
            "not found",
        ),
        (
            "DELETE",
            &format!("{VOLUMES}/none"),
            "",
            "",
            404,
            "not found",
        ),
        (
            "POST",
            SECRETS,
            "",
            &secret(json!({"a": "no base64!"})),
            422,
            "not base64",
        ),
        (
            "POST",
            SECRETS,
            "",
            &secret(json!({"a": "KG5vdCBzaG93bik="})),
            400,
            "data.a",
        ),
        (
            "POST",
            "/api/v1/namespaces",
            "",
            "{}",
            405,
            "namespaces are not written",
        ),
        ("DELETE", VOLUMES, "", "", 405, "does not allow"),
        (
            "POST",
            &format!("{VOLUMES}/own"),
            "",
            "{}",
            405,
            "does not allow",
        ),
        ("PUT", VOLUMES, "", "{}", 405, "does not allow"),
        (
            "POST",
            "/apis/stackward.dev/v1alpha1/volumes",
            "",
            "{}",
            405,
            "does not allow",
        ),
        ("POST", "/version", "", "{}", 405, "does not allow"),
        (
            "POST",
            "/api/v1/namespaces/default/events",
            "",
            "{}",
            405,
            "does not allow",
        ),
        (
            "PUT",
            &format!("{VOLUMES}/own/scale"),
            "",
            "{}",
            404,
            "could not find",
        ),
        (
            "PUT",
            &format!("{VOLUMES}/own/status"),
            "",
            "{}",
            404,
            "could not find",
        ),
    ];
    for (method, path, headers, body, expected, words) in cases {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n{headers}");
        let Answer(code, _, answer) = daemon.send(method, path, &headers, body);
        let asked = format!("{method} {path}: {answer}");
        assert_eq!(code, *expected, "{asked}");
        assert_eq!(
            (&answer["kind"], &answer["code"]),
            (&json!("Status"), &json!(code)),
            "{asked}"
        );
        assert!(
            answer["message"].as_str().unwrap().contains(words),
            "{asked}"
        );
        assert!(daemon.files().is_empty(), "{asked}: {:?}", daemon.files());
    }
    let around: Vec<_> = fs::read_dir(daemon.site.manifests()).unwrap().collect();
    assert_eq!(around.len(), 2);
    // A client that sends nothing holds nobody up.
    let mut silent = TcpStream::connect(&daemon.address).unwrap();
    write!(silent, "POST {VOLUMES} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nAuthorization: Bearer {TOKEN}\r\n\r\n{{")
        .unwrap();
    // Where it is not strict, what is unknown is left out and said.
    let Answer(code, head, body) = daemon.ask("POST", VOLUMES, &unknown);
    assert_eq!(
        (code, &body["spec"]),
        (201, &json!({"resource": {"size": 1}})),
        "{body}"
    );
    assert!(
        head.contains(r#"warning: 299 - "unknown field \"spec.resource.sise\"""#),
        "{head}"
    );
    assert_eq!(
        daemon
            .ask("POST", &format!("{VOLUMES}?dryRun=All"), &volume("b", 1))
            .0,
        201
    );
    assert_eq!(daemon.files(), ["default.volume.a.yaml"]);
}

#[test]
fn of_a_secret_the_keys_come_back_and_nothing_is_lost_by_it() {
    let daemon = Writable::start(&[]);
    let secret = |text: &str| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"password": text}});
        let applied = secret.to_string();
        secret["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
        secret
    };
    let one = format!("{SECRETS}/s");
    let mut answers = Vec::new();
    answers.push(daemon.ask("POST", SECRETS, &secret(CANARY).to_string()));
    let path = daemon.folder().join("default.secret.s.yaml");
    let text = fs::read_to_string(&path).unwrap();
    // As kubectl applies it once more.
    answers.push(daemon.patch(
        &one,
        "strategic-merge-patch+json",
        &secret(CANARY).to_string(),
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    // As `kubectl get -o yaml | kubectl replace -f -` does, with a label.
    let mut read = daemon.get(&one);
    assert_eq!(read["data"], json!({"password": "KG5vdCBzaG93bik="}));
    read["metadata"]["labels"] = json!({"a": "b"});
    answers.push(daemon.ask("PUT", &one, &read.to_string()));
    let now = fs::read_to_string(&path).unwrap();
    let encoded = "Y2FuYXJ5VGV4dDMxZjc=";
    assert!(now.contains(encoded) && now.contains("a: b"), "{now}");
    // Nor does a patch copy it to where it would be shown.
    let copy =
        r#"[{"op": "copy", "from": "/data/password", "path": "/metadata/annotations/leak"}]"#;
    answers.push(daemon.patch(&one, "json-patch+json", copy));
    answers.push(daemon.ask("GET", &one, ""));
    answers.push(daemon.ask("GET", "/api/v1/secrets", ""));
    let table = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n";
    answers.push(daemon.send("GET", &format!("{SECRETS}?includeObject=Object"), table, ""));
    answers.push(daemon.ask("GET", "/status", ""));
    for Answer(code, head, body) in &answers {
        assert!(*code < 300, "{body}");
        let all = format!("{head}{body}");
        assert!(!all.contains(CANARY) && !all.contains(encoded), "{all}");
    }
    let taken = r#"{"data": {"password": null}}"#;
    assert_eq!(daemon.patch(&one, "merge-patch+json", taken).0, 200);
    assert!(!fs::read_to_string(&path).unwrap().contains(encoded));
    assert_eq!(daemon.ask("DELETE", &one, "").0, 200);
    assert_eq!(daemon.ask("GET", &one, "").0, 404);
}

#[test]
fn what_is_applied_is_merged_and_what_is_not_applied_any_more_goes() {
    let daemon = Writable::start(&[]);
    let apply = |manager: &str, more: &str, resource: Value| {
        let path = format!("{VOLUMES}/a?fieldManager={manager}{more}");
        let object = json!({"apiVersion": "stackward.dev/v1alpha1", "kind": "Volume",
            "metadata": {"name": "a"}, "spec": {"resource": resource}});
        let Answer(code, _, body) = daemon.patch(&path, "apply-patch+yaml", &object.to_string());
        (code, body)
    };
    assert_eq!(
        apply("one", "", json!({"size": 1, "description": "x"})).0,
        201
    );
    let path = daemon.folder().join("default.volume.a.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        apply("one", "", json!({"size": 1, "description": "x"})).0,
        200
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let (code, body) = apply(
        "two",
        "",
        json!({"size": 2, "metadata": [{"key": "k", "value": "v"}]}),
    );
    assert_eq!(
        (code, &body["details"]["causes"][0]["reason"]),
        (409, &json!("FieldManagerConflict")),
        "{body}"
    );
    let (code, body) = apply("two", "&force=true", json!({"size": 2}));
    assert_eq!(
        (code, &body["spec"]["resource"]),
        (200, &json!({"size": 2, "description": "x"}))
    );
    let (code, body) = apply("one", "", json!({}));
    assert_eq!(
        (code, &body["spec"]["resource"]),
        (200, &json!({"size": 2})),
        "{body}"
    );
    let managers = body["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers
            .iter()
            .any(|it| it["manager"] == "two" && it["operation"] == "Apply"),
        "{body}"
    );
    assert!(body["metadata"]["annotations"].is_null(), "{body}");
    let nameless = format!("{VOLUMES}/a");
    assert_eq!(
        daemon
            .patch(&nameless, "apply-patch+yaml", &volume("a", 1))
            .0,
        400
    );
}

#[test]
fn many_who_write_at_a_time_lose_nothing() {
    let daemon = Writable::start(&[]);
    assert_eq!(
        daemon
            .ask(
                "POST",
                VOLUMES,
                &volume("shared", 1).replace("\"name\"", "\"labels\":{\"l\":\"x\"},\"name\"")
            )
            .0,
        201
    );
    let address = daemon.address.as_str();
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                for round in 0..4 {
                    let label = format!(r#"[{{"op": "add", "path": "/metadata/labels/l{number}-{round}", "value": "x"}}]"#);
                    let headers = format!(
                        "Authorization: Bearer {TOKEN}\r\nContent-Type: application/json-patch+json\r\n"
                    );
                    let path = format!("{VOLUMES}/shared");
                    assert_eq!(send(address, "PATCH", &path, &headers, &label).0, 200);
                }
                let own = volume(&format!("v{number}"), 1);
                assert_eq!(ask(address, "POST", VOLUMES, &own).0, 201);
            });
        }
    });
    assert_eq!(daemon.files().len(), 9);
    let labels = daemon.get(&format!("{VOLUMES}/shared"))["metadata"]["labels"].clone();
    assert_eq!(labels.as_object().unwrap().len(), 33, "{labels}");
    // One of several who make the same is first, and the others hear so.
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let make = || ask(address, "POST", VOLUMES, &volume("race", 1)).0;
        let makes = (0..6).map(|_| scope.spawn(make));
        let makes: Vec<_> = makes.collect();
        makes.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(
        codes.iter().filter(|it| **it == 201).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|it| **it == 409).count(),
        5,
        "{codes:?}"
    );
}

#[test]
fn a_daemon_that_is_killed_leaves_whole_files_only() {
    for round in 0..4 {
        let mut daemon = Writable::start(&[]);
        let description = "d".repeat(200);
        let address = daemon.address.clone();
        let writer = std::thread::spawn(move || {
            // Until there is nobody any more.
            for number in 0.. {
                let body = volume(&format!("v{number}"), 1).replace(
                    "\"size\"",
                    &format!("\"description\":\"{description}\",\"size\""),
                );
                let Ok(mut stream) = TcpStream::connect(&address) else {
                    return;
                };
                let length = body.len();
                let request = format!(
                    "POST {VOLUMES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
                     Content-Length: {length}\r\n\r\n{body}"
                );
                let mut answer = Vec::new();
                if stream.write_all(request.as_bytes()).is_err()
                    || stream.read_to_end(&mut answer).is_err()
                {
                    return;
                }
            }
        });
        let end = Instant::now() + PATIENCE;
        while daemon.files().len() < 3 + 2 * round {
            assert!(Instant::now() < end, "nothing is written");
            std::thread::yield_now();
        }
        daemon.daemon.signal("-KILL");
        daemon.daemon.end();
        writer.join().unwrap();
        let checked = daemon.site.run(&["validate", "manifests"]);
        assert!(checked.status.success(), "{}", site::err(&checked));
        for name in daemon.files().iter().filter(|it| !it.starts_with('.')) {
            let text = fs::read_to_string(daemon.folder().join(name)).unwrap();
            assert!(text.ends_with("size: 1\n"), "{name}: {text}");
        }
    }
}

#[test]
fn a_place_that_is_none_is_refused_at_the_start() {
    let site = Site::new(&[]);
    fs::create_dir(site.directory.path().join("elsewhere")).unwrap();
    let open = site.directory.path().join("open");
    fs::write(&open, format!("{TOKEN}\n")).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let run = [
        "run",
        "--once",
        "--manifests",
        "manifests",
        "--cloud",
        "sandbox",
    ];
    for (flags, words) in [
        (
            &["--api-write=../elsewhere", "--state-dir", "s"][..],
            "is not below the manifest directory",
        ),
        (
            &["--api-write=.hidden", "--state-dir", "s"],
            "is not read as manifests",
        ),
        (&["--api-write"], "nobody may write"),
        (&["--api-token-file", "open"], "nothing is written"),
        (
            &["--api-write", "--api-token-file", "open"],
            "everybody on this machine",
        ),
        (
            &["--api-write", "--api-token-file", "none"],
            "cannot be read",
        ),
    ] {
        let output = site.run(&[&run[..], flags].concat());
        let said = site::err(&output);
        assert!(
            !output.status.success() && said.contains(words) && said.contains("hint:"),
            "{flags:?}: {said}"
        );
        assert!(!said.contains(TOKEN));
    }
}
