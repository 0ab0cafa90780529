//! The commands that ask a running daemon, as a person runs them: what is there, and what is said when
//! it cannot be asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use site::{Daemon, PATIENCE, Site, cloud, err, out, with};
use stackward::sandbox::Running;

const MORE: &str = "\
apiVersion: stackward.dev/v1alpha1
kind: Network
metadata: {name: net, namespace: team, labels: {app: blog}}
spec: {resource: {}}
---
apiVersion: stackward.dev/v1alpha1
kind: Subnet
metadata: {name: sub, namespace: team}
spec: {resource: {networkRef: net, ipVersion: 4, cidr: 10.1.0.0/24}}
";

/// A daemon that has made volumes `a` and `b`, and a network with a subnet in the namespace `team`.
struct Town {
    site: Site,
    _cloud: Running,
    _daemon: Daemon,
    address: String,
}

impl Town {
    async fn new() -> Self {
        let cloud = cloud().await;
        let site = Site::new(&[("a", 1), ("b", 2)]);
        fs::write(site.manifests().join("more.yaml"), MORE).unwrap();
        site.clouds(&cloud.clouds_yaml());
        let brisk = ["--listen", "127.0.0.1:0", "--poll-interval", "1s"];
        let daemon = Daemon::start(site.command(&with(&brisk)));
        let line = daemon.line_with("metrics:   http://");
        let address = line.split("http://").nth(1).unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        let _: String = daemon.line_with("All 4 objects are Available");
        Self {
            site,
            _cloud: cloud,
            _daemon: daemon,
            address,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.site.command(arguments);
        command.env("STACKWARD_ADDRESS", &self.address);
        command.output().unwrap()
    }

    /// What a command prints that ends well.
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    }

    /// What a command says that ends with 1.
    fn fault(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", out(&output));
        err(&output)
    }
}

/// The words of each line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|it| it.split_whitespace().collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn get_shows_objects_by_kind_name_namespace_and_label() {
    let town = Town::new().await;
    let text = town.text(&["get", "volumes"]);
    let lines = words(&text);
    assert_eq!(lines[0], ["NAME", "AVAILABLE", "REASON", "ID", "AGE"]);
    assert_eq!(lines[1][..3], ["a", "True", "InSync"]);
    assert_eq!((lines[2][0], lines.len()), ("b", 3));
    let wide = town.text(&["get", "vol", "b", "-o", "wide"]);
    assert_eq!(words(&wide)[0][5..], ["MESSAGE", "CLOUD"]);
    assert_eq!(words(&wide)[1].last(), Some(&"sandbox-admin"));

    // Several kinds are one table; names say their kind.
    let all = town.text(&["get", "all", "-A"]);
    let names: Vec<Vec<&str>> = words(&all).iter().map(|it| it[..2].to_vec()).collect();
    assert_eq!(
        names,
        [
            ["NAMESPACE", "NAME"],
            ["team", "Network/net"],
            ["team", "Subnet/sub"],
            ["default", "Volume/a"],
            ["default", "Volume/b"],
        ]
    );
    let blog = town.text(&["get", "all", "-A", "-l", "app=blog", "-o", "name"]);
    assert_eq!(blog, "Network/team/net\n");
    let named = town.text(&["get", "Volume/b", "Network/team/net", "-o", "name"]);
    assert_eq!(named, "Volume/b\nNetwork/team/net\n");
    let anywhere = town.text(&["get", "net", "net", "-A"]);
    assert!(anywhere.contains("team"), "{anywhere}");
    let spaces = town.text(&["get", "ns", "-o", "name"]);
    assert_eq!(spaces, "Namespace/default\nNamespace/team\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_gives_programs_the_whole_objects() {
    let town = Town::new().await;
    let one: Value = serde_json::from_str(&town.text(&["get", "volume/a", "-o", "json"])).unwrap();
    assert_eq!(
        (&one["kind"], &one["spec"]["resource"]["size"]),
        (&"Volume".into(), &1.into())
    );
    let several = town.text(&["get", "volumes,subnets", "-A", "-o", "json"]);
    let several: Value = serde_json::from_str(&several).unwrap();
    assert_eq!(several["kind"], "List");
    assert_eq!(several["items"].as_array().unwrap().len(), 3);
    let yaml = town.text(&["get", "volumes", "-o", "yaml"]);
    assert!(yaml.contains("kind: VolumeList"), "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_says_what_is_not_there_and_what_was_meant() {
    let town = Town::new().await;
    for (arguments, part) in [
        (
            &["get", "volumess"][..],
            "there is no kind `volumess`\n  hint: did you mean `volumes`?",
        ),
        (
            &["get", "volume", "c", "a"],
            "there is no Volume `c` in namespace default\n  hint: did you mean",
        ),
        (
            &["get", "net", "net"],
            "there is one in namespace team: -n team",
        ),
        (&["get", "volume/a", "b"], "KIND/NAME"),
        (&["get", "volumes", "-l", "a b"], "label selector"),
        (&["get", "volumes,networks", "-w"], "only one thing"),
        (&["get", "volume", "a", "-l", "x=y"], "exclude each other"),
    ] {
        let fault = town.fault(arguments);
        assert!(fault.contains(part), "{arguments:?}: {fault}");
    }
    // What is there is shown all the same.
    let some = town.run(&["get", "volume", "a", "c"]);
    assert!(out(&some).contains("\na "), "{}", out(&some));
    let none = town.run(&["get", "servers"]);
    assert_eq!((none.status.code(), out(&none).as_str()), (Some(0), ""));
    assert_eq!(
        err(&none),
        "no servers in namespace default; -A looks in all\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_with_what_changes() {
    let town = Town::new().await;
    let mut command = town.site.command(&["get", "volumes", "-w"]);
    command.env("STACKWARD_ADDRESS", &town.address);
    let watch = Daemon::start(command);
    let _: String = watch.line_with("b ");
    town.site.volume("new", 1);
    let line = watch.line_with("new ");
    assert!(!line.contains("NAME"), "{line}");
    let line = watch.line_with("True");
    assert!(line.starts_with("new "), "{line}");
    let mut command = town.site.command(&["get", "volume/b", "-w", "-o", "name"]);
    command.env("STACKWARD_ADDRESS", &town.address);
    let one = Daemon::start(command);
    assert_eq!(one.line_with("Volume"), "Volume/b");
    let fault = town.fault(&["get", "volume/c", "-w"]);
    assert!(fault.contains("there is no Volume `c`"), "{fault}");
}

#[test]
fn a_daemon_that_cannot_be_asked_is_said_with_a_hint() {
    let site = Site::new(&[]);
    let fault = |address: &str| {
        let output = site.run(&["get", "volumes", "--address", address]);
        assert_eq!(output.status.code(), Some(1));
        err(&output)
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stranger = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _: usize = stream.read(&mut [0; 4096]).unwrap();
        let page = "<html>";
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n";
        stream
            .write_all(format!("{head}{page}").as_bytes())
            .unwrap();
    });
    let said = fault(&address);
    assert!(
        said.contains("is it a stackward that listens there?"),
        "{said}"
    );
    stranger.join().unwrap();
    // Nobody listens there any more.
    let said = fault(&address);
    assert!(said.contains("is the daemon running?"), "{said}");
    let said = fault("ftp://gateway");
    assert!(said.contains("address is not understood"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_tells_conditions_references_specs_and_events() {
    let town = Town::new().await;
    let text = town.text(&["describe", "subnet", "sub", "-n", "team"]);
    for part in [
        "Name:            sub\n",
        "Namespace:       team\n",
        "Cloud:           sandbox-admin\n",
        "State:           Available\n",
        "Refers To:\n  OBJECT            STATE\n  Network/team/net  Available\n",
        "Conditions:\n",
        "  Available    True ",
        "Spec:\n",
        "    networkRef: net\n",
        "In The Cloud:\n",
        "Events:\n",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let text = town.text(&["describe", "Network/team/net"]);
    assert!(
        text.contains("Referred To By:\n  OBJECT           STATE\n  Subnet/team/sub "),
        "{text}"
    );
    assert!(text.contains("Labels:          app=blog\n"), "{text}");
    let all = town.text(&["describe", "volumes"]);
    assert_eq!(
        all.matches("\nKind:            Volume\n").count(),
        2,
        "{all}"
    );
    let json = town.text(&["describe", "subnet/team/sub", "-o", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["refersTo"], serde_json::json!(["Network/team/net"]));
    assert!(
        json["events"].as_array().is_some_and(|it| !it.is_empty()),
        "{json:#}"
    );
    let fault = town.fault(&["describe", "volume", "aa"]);
    assert!(fault.contains("there is no Volume `aa`"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_in_their_order_and_as_they_happen() {
    let town = Town::new().await;
    let text = town.text(&["events", "-A"]);
    let lines = words(&text);
    assert_eq!(lines[0][..3], ["NAMESPACE", "LAST", "SEEN"]);
    for object in ["network/net", "subnet/sub", "volume/a", "volume/b"] {
        assert!(text.contains(object), "{object} is not in:\n{text}");
    }
    let json: Value = serde_json::from_str(&town.text(&["events", "-A", "-o", "json"])).unwrap();
    let times: Vec<&str> = json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["lastTimestamp"].as_str().unwrap())
        .collect();
    assert!(times.len() >= 8 && times.is_sorted(), "{times:?}");
    let one = town.text(&["events", "--for", "volume/a"]);
    assert!(
        one.contains("volume/a") && !one.contains("volume/b"),
        "{one}"
    );
    let none = town.run(&["events", "--type", "Warning"]);
    assert_eq!(
        (out(&none).as_str(), err(&none).as_str()),
        ("", "no events\n")
    );

    let mut command = town.site.command(&["events", "-w"]);
    command.env("STACKWARD_ADDRESS", &town.address);
    let watch = Daemon::start(command);
    let _: String = watch.line_with("volume/b");
    town.site.volume("new", 1);
    let _: String = watch.line_with("volume/new");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_ends_when_it_is_so_and_else_says_why_not() {
    let town = Town::new().await;
    let available = "--for=condition=Available";
    assert_eq!(
        town.text(&["wait", "volume/a", "Network/team/net", available]),
        "Volume/a condition met\nNetwork/team/net condition met\n"
    );
    let all = town.text(&[
        "wait",
        "all",
        "--all",
        "-A",
        "--for=condition=Progressing=False",
    ]);
    assert_eq!(all.lines().count(), 4, "{all}");

    // It is not declared yet when the waiting begins.
    let mut command = town
        .site
        .command(&["wait", "volume", "new", available, "--timeout=50s"]);
    command.env("STACKWARD_ADDRESS", &town.address);
    let mut waiting = Daemon::start(command);
    town.site.volume("new", 1);
    let _: String = waiting.line_with("Volume/new condition met");
    assert_eq!(waiting.end(), Some(0));

    let fault = town.fault(&["wait", "volume/a", "volume/c", available, "--timeout=1s"]);
    assert!(
        fault.contains("not so after 1s:\n  Volume/c: no manifest declares it\n"),
        "{fault}"
    );
    let fault = town.fault(&["wait", "volume/a", "--for=delete", "--timeout=0"]);
    assert!(fault.contains("Volume/a: "), "{fault}");
    let fault = town.fault(&["wait", "servers", "--all", available]);
    assert!(fault.contains("there is nothing to wait for"), "{fault}");
    assert_eq!(
        town.text(&["wait", "server/db", "--for=delete"]),
        "Server/db deleted\n"
    );
    let fault = town.fault(&["wait", "volumes", available]);
    assert!(fault.contains("--all or --selector"), "{fault}");
    assert_eq!(
        town.run(&["wait", "volume/a", "--for=jsonpath=x"])
            .status
            .code(),
        Some(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_shows_what_needs_what() {
    let town = Town::new().await;
    assert_eq!(
        town.text(&["tree"]),
        "Subnet/team/sub  Available\n└── Network/team/net  Available\nVolume/a  Available\n\
         Volume/b  Available\n"
    );
    assert_eq!(
        town.text(&["tree", "Network/team/net", "--reverse"]),
        "Network/team/net  Available\n└── Subnet/team/sub  Available\n"
    );
    assert_eq!(
        town.text(&["tree", "volumes", "-o", "name"]),
        "Volume/a\nVolume/b\n"
    );
    let json: Value =
        serde_json::from_str(&town.text(&["tree", "-n", "team", "-o", "json"])).unwrap();
    assert_eq!(
        json["objects"][0]["refersTo"],
        serde_json::json!(["Network/team/net"])
    );
    let fault = town.fault(&["tree", "Volume/aa"]);
    assert!(fault.contains("did you mean `Volume/a`?"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_is_said_to_the_socket_and_looks_at_once() {
    let town = Town::new().await;
    let said = town.text(&[
        "reconcile",
        "volume/a",
        "Network/team/net",
        "--state-dir",
        "state",
    ]);
    assert_eq!(
        said,
        "Volume/a is looked at now\nNetwork/team/net is looked at now\n"
    );
    let fault = town.fault(&["reconcile", "volume/aa", "--state-dir", "state"]);
    assert!(
        fault.contains("no manifest declares Volume/aa; did you mean Volume/a?"),
        "{fault}"
    );
    let fault = town.fault(&["reconcile", "volume/a", "--state-dir", "nowhere"]);
    assert!(fault.contains("is the daemon running"), "{fault}");
}

#[test]
fn who_is_asked_to_come_back_later_does_so_as_often_as_kubectl() {
    let site = Site::new(&[]);
    let words = r#"{"kind":"Status","message":"nothing is known yet"}"#;
    let late = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{words}",
        words.len()
    );
    let refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (late_ones, asked, said) in [
        (3, 4, "wants to know who asks"),
        (99, 10, "nothing is known yet"),
    ] {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap().to_string();
        let (late, heard) = (late.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = heard.clone();
        let _until_the_end = std::thread::spawn(move || {
            for stream in door.incoming() {
                let mut stream = stream.unwrap();
                let count = counted.fetch_add(1, Ordering::SeqCst);
                let head = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = head.take_while(|line| line.as_ref().is_ok_and(|it| !it.is_empty()));
                assert!(lines.count() > 0);
                let answer = if count < late_ones { &late } else { refused };
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let output = site.run(&["status", "--address", &address]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(said), "{}", err(&output));
        assert_eq!(heard.load(Ordering::SeqCst), asked);
    }
}
