//! Kubernetes' API for reading, as clients of it ask: by HTTP, of the real program on the simulated cloud.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};
use site::{Daemon, PATIENCE, Site};

const NATIVE: &str = "/apis/stackward.dev/v1alpha1";
const ORC: &str = "/apis/openstack.k-orc.cloud/v1alpha1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

const MANIFESTS: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: team}
stringData: {value: canaryText31f7}
---
apiVersion: stackward.dev/v1alpha1
kind: Volume
metadata: {name: a, labels: {app: blog, tier: db}, annotations: {note: mine}}
spec: {resource: {size: 1}}
---
apiVersion: stackward.dev/v1alpha1
kind: Volume
metadata: {name: b, namespace: team, labels: {app: shop}}
spec: {resource: {size: 2}}
---
apiVersion: openstack.k-orc.cloud/v1alpha1
kind: Network
metadata: {name: n, namespace: team}
spec: {cloudCredentialsRef: {secretName: none, cloudName: sandbox}, resource: {}}
";

/// A daemon whose objects are Available.
struct Served {
    site: Site,
    daemon: Daemon,
    address: String,
}

impl Served {
    fn start(manifests: &str) -> Self {
        let site = Site::new(&[]);
        fs::write(site.manifests().join("all.yaml"), manifests).unwrap();
        let mut command = site.command(&["run", "--manifests", "manifests", "--cloud", "sandbox"]);
        command.args(["--listen", "127.0.0.1:0", "--poll-interval", "1s"]);
        command.args(["--prune-grace", "0s", "--prune-data-grace", "0s"]);
        let daemon = Daemon::start(command);
        let line = daemon.line_with("metrics:   http://");
        let rest = line.split("http://").nth(1).unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        Self {
            site,
            daemon,
            address,
        }
    }

    fn available(manifests: &str) -> Self {
        let served = Self::start(manifests);
        served.daemon.line_with("Available.");
        served
    }

    /// Status code, the answer's type, and its body.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (u16, String, Value) {
        let mut stream = self.open(method, path, headers);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        let content_type = head
            .lines()
            .find_map(|line| line.strip_prefix("content-type: "))
            .unwrap_or_default();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        (code, content_type.to_owned(), body)
    }

    fn open(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
        )
        .unwrap();
        stream
    }

    fn get(&self, path: &str) -> Value {
        let (code, _, body) = self.ask("GET", path, "");
        assert_eq!(code, 200, "{path}: {body}");
        body
    }

    /// The code and the reason of what is refused.
    fn refused(&self, method: &str, path: &str, headers: &str) -> (u16, String) {
        let (code, content_type, body) = self.ask(method, path, headers);
        assert_eq!(content_type, "application/json", "{path}: {body}");
        assert_eq!(
            (&body["kind"], &body["apiVersion"], &body["status"]),
            (&json!("Status"), &json!("v1"), &json!("Failure")),
            "{path}"
        );
        assert_eq!(body["code"], code, "{path}");
        assert!(!body["message"].as_str().unwrap().is_empty());
        (code, body["reason"].as_str().unwrap().to_owned())
    }

    fn names(&self, path: &str) -> Vec<String> {
        let list = self.get(path);
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|it| it["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The lines of a watch.
    fn watch(&self, path: &str) -> Lines {
        let mut reader = BufReader::new(self.open("GET", path, ""));
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Lines(reader)
    }
}

struct Lines(BufReader<TcpStream>);

impl Lines {
    /// The next event; `None` at the end. Chunks are told apart by their sizes, which are no JSON.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 0 {
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
            line.clear();
        }
        None
    }

    /// Goes on until there is one like this.
    fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while Instant::now() < end
            && let Some(event) = self.next()
        {
            if is_it(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("not among {seen:#?}");
    }
}

fn what(event: &Value) -> (&str, &str) {
    (
        event["type"].as_str().unwrap(),
        event["object"]["metadata"]["name"]
            .as_str()
            .unwrap_or_default(),
    )
}

#[test]
fn discovery_names_the_resources_of_both_groups_one_by_one_and_at_once() {
    let served = Served::start(MANIFESTS);
    assert_eq!(served.get("/version")["minor"], "32");
    assert_eq!(served.get("/api")["versions"], json!(["v1"]));
    let groups = served.get("/apis");
    let names: Vec<&Value> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    // kubectl takes the first group that has the word.
    assert_eq!(names, ["stackward.dev", "openstack.k-orc.cloud"]);
    assert_eq!(served.get("/apis/stackward.dev")["kind"], "APIGroup");
    let native = served.get(NATIVE);
    let resources = native["resources"].as_array().unwrap();
    let server = resources.iter().find(|it| it["kind"] == "Server").unwrap();
    assert_eq!(
        *server,
        json!({"name": "servers", "singularName": "server", "namespaced": true, "kind": "Server",
            "verbs": ["get", "list", "watch"], "shortNames": ["srv"], "categories": ["all", "openstack"]})
    );
    let core = served.get("/api/v1").to_string();
    assert!(core.contains("namespaces") && core.contains("events"));
    for group in [&core, &native.to_string(), &served.get(ORC).to_string()] {
        assert!(
            !group.contains("secrets") && !group.contains("configmaps"),
            "{group}"
        );
    }
    let accept = "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json\r\n";
    let (_, content_type, all) = served.ask("GET", "/apis", accept);
    assert_eq!(
        (content_type.as_str(), &all["kind"]),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            &json!("APIGroupDiscoveryList")
        )
    );
    let at_once = &all["items"][0]["versions"][0]["resources"];
    assert_eq!(at_once.as_array().unwrap().len(), resources.len());
    // In the other group nothing has a short name or a category: nothing is listed twice.
    assert!(!all["items"][1].to_string().contains("categories"));
    let paths = served.get("/openapi/v3");
    for (_, path) in paths["paths"].as_object().unwrap() {
        let document = served.get(path["serverRelativeURL"].as_str().unwrap());
        assert!(document["components"]["schemas"].is_object());
    }
}

#[test]
fn objects_are_as_kubernetes_has_them_and_say_what_their_manifests_say() {
    let served = Served::available(MANIFESTS);
    let a = served.get(&format!("{NATIVE}/namespaces/default/volumes/a"));
    assert_eq!(
        (&a["apiVersion"], &a["kind"], &a["spec"]),
        (
            &json!("stackward.dev/v1alpha1"),
            &json!("Volume"),
            &json!({"resource": {"size": 1}})
        )
    );
    let metadata = &a["metadata"];
    assert_eq!(metadata["labels"], json!({"app": "blog", "tier": "db"}));
    assert_eq!(metadata["annotations"], json!({"note": "mine"}));
    assert_eq!(metadata["generation"], 1);
    assert!(
        metadata["uid"].as_str().unwrap().len() == 36 && metadata["deletionTimestamp"].is_null()
    );
    let conditions = a["status"]["conditions"].as_array().unwrap();
    let available = conditions
        .iter()
        .find(|it| it["type"] == "Available")
        .unwrap();
    assert_eq!(
        (&available["status"], &available["observedGeneration"]),
        (&json!("True"), &json!(1))
    );
    assert!(
        available["lastTransitionTime"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(a["status"]["resource"]["size"], 1);

    // By namespace, by label, by field.
    let volumes = format!("{NATIVE}/volumes");
    assert_eq!(served.names(&volumes), ["a", "b"]);
    assert_eq!(
        served.names(&format!("{NATIVE}/namespaces/team/volumes")),
        ["b"]
    );
    for (query, expected) in [
        ("labelSelector=app%3Dblog", "a"),
        ("labelSelector=app%20in%20(shop,x),!tier", "b"),
        ("fieldSelector=metadata.name%3Da&limit=500", "a"),
        ("fieldSelector=metadata.namespace%21%3Ddefault", "b"),
    ] {
        assert_eq!(
            served.names(&format!("{volumes}?{query}")),
            [expected],
            "{query}"
        );
    }

    // What ORC's group declares is served there as well, and what it does not is not.
    assert_eq!(served.names(&format!("{ORC}/networks")), ["n"]);
    assert_eq!(served.names(&format!("{NATIVE}/networks")), ["n"]);
    assert_eq!(
        served.names(&format!("{ORC}/volumes")),
        Vec::<String>::new()
    );
    let n = served.get(&format!("{ORC}/namespaces/team/networks/n"));
    assert_eq!(n["apiVersion"], "openstack.k-orc.cloud/v1alpha1");
    assert_eq!(
        n["status"]["manifest"]["apiVersion"],
        "openstack.k-orc.cloud/v1alpha1"
    );

    assert_eq!(served.names("/api/v1/namespaces"), ["default", "team"]);
    assert_eq!(
        served.get("/api/v1/namespaces/team")["status"]["phase"],
        "Active"
    );

    let uid = metadata["uid"].as_str().unwrap();
    let about = format!(
        "involvedObject.name=a,involvedObject.namespace=default,involvedObject.kind=Volume,involvedObject.uid={uid}"
    );
    let events = served.get(&format!(
        "/api/v1/namespaces/default/events?fieldSelector={about}"
    ));
    let events = events["items"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|it| it["reason"] == "Success" && it["type"] == "Normal"),
        "{events:#?}"
    );
    assert!(events.iter().all(|it| it["involvedObject"]["uid"] == *uid));
    let other = served.names("/api/v1/events?fieldSelector=involvedObject.kind=Server");
    assert_eq!(other, Vec::<String>::new());
}

#[test]
fn tables_have_columns_for_people() {
    let served = Served::available(MANIFESTS);
    let ask = |path: &str, accept: &str| {
        let (code, content_type, body) = served.ask("GET", path, &format!("Accept: {accept}\r\n"));
        assert_eq!(code, 200, "{body}");
        (content_type, body)
    };
    let (content_type, table) = ask(&format!("{NATIVE}/volumes"), TABLE);
    assert_eq!(content_type, "application/json;as=Table;v=v1;g=meta.k8s.io");
    let columns: Vec<(&str, bool)> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["priority"] == 0))
        .collect();
    assert_eq!(
        columns,
        [
            ("Name", true),
            ("Available", true),
            ("Reason", true),
            ("ID", true),
            ("Age", true),
            ("Message", false),
            ("Cloud", false)
        ]
    );
    let row = &table["rows"][0];
    assert_eq!(row["cells"][0], "a");
    assert_eq!(
        (&row["cells"][1], &row["cells"][2]),
        (&json!("True"), &json!("InSync"))
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert!(row["object"]["spec"].is_null());
    let (_, table) = ask(&format!("{NATIVE}/volumes?includeObject=Object"), TABLE);
    assert_eq!(table["rows"][1]["object"]["spec"]["resource"]["size"], 2);
    let (_, table) = ask("/api/v1/events?includeObject=None", TABLE);
    assert!(table["rows"][0]["object"].is_null() && table["rows"].as_array().unwrap().len() > 3);
    let (_, table) = ask("/api/v1/namespaces/team", TABLE);
    assert_eq!(table["rows"][0]["cells"][1], "Active");
    let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, list) = ask(&format!("{NATIVE}/volumes"), metadata);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"][0]["spec"].is_null() && list["items"][0]["metadata"]["name"] == "a");
}

#[test]
fn a_watch_tells_what_changes_until_it_is_gone() {
    let served = Served::available(MANIFESTS);
    let path = format!("{NATIVE}/volumes");
    let version = served.get(&path)["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut all = served.watch(&format!(
        "{path}?watch=1&resourceVersion={version}&allowWatchBookmarks=true"
    ));
    let mut blog = served.watch(&format!("{path}?watch=1&labelSelector=app%3Dblog"));
    // Without a version it begins with what is there.
    assert_eq!(what(&blog.next().unwrap()), ("ADDED", "a"));

    let file = served.site.manifests().join("all.yaml");
    let larger = MANIFESTS.replace("size: 1", "size: 3");
    fs::write(&file, &larger).unwrap();
    let event = all.until(|event| event["object"]["status"]["resource"]["size"] == 3);
    assert_eq!(what(&event), ("MODIFIED", "a"));
    assert_eq!(event["object"]["metadata"]["generation"], 2);
    assert!(
        event["object"]["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            > version.as_str()
    );

    // What does not fit any more is gone for who asked for it, and there for the others.
    fs::write(&file, larger.replace("app: blog", "app: shop")).unwrap();
    let event = blog.until(|event| event["type"] == "DELETED");
    assert_eq!(what(&event), ("DELETED", "a"));
    all.until(|event| event["object"]["metadata"]["labels"]["app"] == "shop");

    // What is not declared any more is shown as being deleted until its resource is gone.
    let without: String = larger
        .split("---\n")
        .filter(|part| !part.contains("name: a,"))
        .collect::<Vec<_>>()
        .join("---\n");
    fs::write(&file, without).unwrap();
    let event = all.until(|event| !event["object"]["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(what(&event), ("MODIFIED", "a"));
    assert_eq!(
        event["object"]["metadata"]["finalizers"],
        json!(["stackward.dev/resource"])
    );
    assert_eq!(
        event["object"]["spec"]["resource"]["size"], 3,
        "what it was is still said"
    );
    assert_eq!(event["object"]["status"]["resource"]["size"], 3);
    let event = all.until(|event| event["type"] == "DELETED");
    assert_eq!(what(&event), ("DELETED", "a"));
    assert_eq!(
        served.refused("GET", &format!("{NATIVE}/namespaces/default/volumes/a"), ""),
        (404, "NotFound".to_owned())
    );

    // It ends when it was asked to, and begins with what is there if that is asked for.
    let mut streamed = served.watch(&format!(
        "{path}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    ));
    assert_eq!(what(&streamed.next().unwrap()), ("ADDED", "b"));
    let mark = streamed.next().unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(
        mark["object"]["metadata"]["annotations"],
        json!({"k8s.io/initial-events-end": "true"})
    );
    assert_eq!(streamed.next(), None);
}

#[test]
fn what_cannot_be_answered_is_said_in_kubernetes_form() {
    let served = Served::available(MANIFESTS);
    let volumes = format!("{NATIVE}/volumes");
    let refused = |path: &str| served.refused("GET", path, "");
    for path in [
        "/api/v1/secrets",
        "/api/v1/namespaces/team/secrets/login",
        "/api/v1/pods",
        "/api/v2",
        "/apis/apps/v1/deployments",
        "/openapi/v2",
        &format!("{NATIVE}/volumes/a"),
        &format!("{NATIVE}/namespaces/default/volumes/none"),
        &format!("{ORC}/namespaces/default/volumes/a"),
        &format!("{NATIVE}/namespaces/default/volumes/{}", "x".repeat(5000)),
    ] {
        assert_eq!(refused(path), (404, "NotFound".to_owned()), "{path}");
    }
    for query in [
        "labelSelector=a%20b%20c",
        "fieldSelector=spec.size%3D1",
        "resourceVersion=abc",
        "timeoutSeconds=soon",
        "continue=more",
    ] {
        let path = format!("{volumes}?{query}");
        assert_eq!(refused(&path), (400, "BadRequest".to_owned()), "{query}");
    }
    for query in [
        "watch=1&resourceVersion=1",
        "watch=1&resourceVersion=99999999999999",
        "resourceVersion=1&resourceVersionMatch=Exact",
        "resourceVersion=99999999999999",
    ] {
        let path = format!("{volumes}?{query}");
        assert_eq!(refused(&path), (410, "Expired".to_owned()), "{query}");
    }
    let protobuf = "Accept: application/vnd.kubernetes.protobuf\r\n";
    assert_eq!(
        served.refused("GET", &volumes, protobuf),
        (406, "NotAcceptable".to_owned())
    );
    // A body is announced, and neither sent nor waited for.
    let body =
        "Content-Type: application/vnd.kubernetes.protobuf\r\nContent-Length: 1000000000\r\n";
    for (method, path) in [
        ("POST", format!("{NATIVE}/namespaces/default/volumes")),
        ("PATCH", format!("{NATIVE}/namespaces/default/volumes/a")),
        ("PUT", format!("{NATIVE}/namespaces/default/volumes/a")),
        ("DELETE", format!("{NATIVE}/namespaces/default/volumes/a")),
        ("DELETE", volumes.clone()),
        ("POST", "/api/v1/namespaces".to_owned()),
    ] {
        assert_eq!(
            served.refused(method, &path, body),
            (405, "MethodNotAllowed".to_owned()),
            "{method} {path}"
        );
    }
    assert_eq!(served.names(&volumes), ["a", "b"], "nothing was written");
}

#[test]
fn watches_leave_room_for_everybody_else() {
    let served = Served::available(MANIFESTS);
    let path = format!("{NATIVE}/volumes?watch=1");
    let mut open: Vec<Lines> = (0..32).map(|_| served.watch(&path)).collect();
    assert_eq!(
        served.refused("GET", &path, ""),
        (429, "TooManyRequests".to_owned())
    );
    assert!(site::get(&served.address, "/livez").starts_with("HTTP/1.1 200"));
    assert_eq!(served.names(&format!("{NATIVE}/volumes")), ["a", "b"]);
    for watch in &mut open {
        assert_eq!(what(&watch.next().unwrap()).0, "ADDED");
    }
    // Whoever goes away makes room, as soon as the daemon has something to tell.
    drop(open);
    let end = Instant::now() + PATIENCE;
    while served.ask("GET", &format!("{path}&timeoutSeconds=1"), "").0 != 200 {
        assert!(Instant::now() < end, "there is never room again");
        std::thread::yield_now();
    }
}

#[test]
fn texts_of_secrets_and_of_user_data_are_nowhere() {
    let text = format!(
        "{MANIFESTS}---\napiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata: {{name: s, namespace: team}}\n\
         spec:\n  resource:\n    flavorRef: {{filter: {{name: m1.tiny}}}}\n    imageRef: {{filter: {{name: none}}}}\n    \
         networks: none\n    userData:\n      template: 'password={{{{ word }}}} and {{{{ login }}}} canaryText31f7'\n      values:\n        \
         word: {{value: canaryText31f7}}\n        login: {{secretKeyRef: {{name: login, key: value}}}}\n"
    );
    let served = Served::start(&text);
    let servers = format!("{NATIVE}/servers");
    let end = Instant::now() + PATIENCE;
    while served.ask("GET", &servers, "").2["items"][0].is_null() {
        assert!(Instant::now() < end, "there is never a server");
    }
    let server = served.get(&format!("{NATIVE}/namespaces/team/servers/s"));
    assert_eq!(
        server["spec"]["resource"]["userData"]["template"],
        "(not shown)"
    );
    assert_eq!(
        server["spec"]["resource"]["userData"]["values"]["login"],
        json!({"secretKeyRef": {"name": "login", "key": "value"}})
    );
    for path in [
        servers.as_str(),
        &format!("{servers}?watch=1&timeoutSeconds=1"),
        "/api/v1/events",
        "/api/v1/namespaces",
        "/status",
    ] {
        let answer = site::get(&served.address, path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains("canaryText31f7"), "{path}: {answer}");
    }
}
