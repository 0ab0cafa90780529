//! The commands that need no daemon, as a person runs them: what they say, how they end, and that
//! they write nothing that they should not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Output};

use serde_json::Value;
use site::{Daemon, Site, cloud, err, out, with, writes};
use stackward::sandbox::{Clock, Options, Running, Sandbox};

fn said(output: &Output) -> String {
    format!("{}{}", out(output), err(output))
}

fn ends(output: &Output, status: i32) -> String {
    assert_eq!(output.status.code(), Some(status), "{}", said(output));
    said(output)
}

/// Columns may be as wide as they like.
fn holds(text: &str, parts: &[&str]) {
    let squeezed = |text: &str| {
        let mut before = ' ';
        let mut keep = |c: &char| {
            let keep = !(*c == ' ' && before == ' ');
            before = *c;
            keep
        };
        text.chars().filter(|c| keep(c)).collect::<String>()
    };
    let whole = squeezed(text);
    for part in parts {
        assert!(
            whole.contains(squeezed(part).as_str()),
            "{part} is not in:\n{text}"
        );
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

async fn cloud_with(options: Options) -> Running {
    let options = Options {
        clock: Clock::Fast,
        ..options
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Sandbox::start(options, anywhere).await.unwrap()
}

const DOCTOR: [&str; 7] = [
    "doctor",
    "--manifests",
    "manifests",
    "--cloud",
    "sandbox-admin",
    "--state-dir",
    "state",
];

fn doctor<'a>(more: &[&'a str]) -> Vec<&'a str> {
    DOCTOR.iter().copied().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_installation_is_told_in_a_line_per_check() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1)]);
    site.clouds(&cloud.clouds_yaml());
    let text = ends(&site.run(&doctor(&[])), 0);
    holds(
        &text,
        &[
            "settings           manifests manifests (--manifests), cloud sandbox-admin (--cloud)",
            "manifests          manifests: 1 object\n",
            "state              state is not there yet, and can be made",
            "token              user admin, project admin, roles ",
            "clock              differs by ",
            "projects           ",
            "catalog            ",
            "block-storage      http://127.0.0.1:",
            "microversions 3.0 to 3.",
            "quota block-storage",
            "volumes 0/",
            " 0 failed.\n",
        ],
    );
    assert!(
        !text.contains("\n       compute"),
        "nothing is declared that needs Nova:\n{text}"
    );
    assert!(!site.directory.path().join("state").exists());
    assert_eq!(writes(&cloud), Vec::<String>::new());
    let json = json(&site.run(&doctor(&["-o", "json"])));
    assert_eq!(json["failed"], 0);
    let checks = json["checks"].as_array().unwrap();
    let facts = |name: &str| &checks.iter().find(|it| it["name"] == name).unwrap()["facts"];
    assert_eq!(facts("settings")["cloud"]["source"], "--cloud");
    assert_eq!(facts("settings")["pollInterval"]["source"], "default");
    assert_eq!(facts("token")["project"], "admin");
    let place = facts("credentials")["sources"]["auth.password"]
        .as_str()
        .unwrap();
    assert!(place.contains("clouds.yaml:"), "{place}");
    let secret = cloud.world().options().password.clone();
    for form in ["table", "wide", "json", "yaml", "name"] {
        let text = said(&site.run(&doctor(&["-o", form])));
        assert!(!text.contains(&secret), "{form} shows the password");
    }
    assert_eq!(out(&site.run(&doctor(&["-o", "name"]))), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_cloud_is_a_clear_line_and_does_not_end_the_checks() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1)]);
    let good = cloud.clouds_yaml();
    let failed = |clouds: &str, parts: &[&str]| {
        site.clouds(clouds);
        let text = ends(&site.run(&doctor(&[])), 1);
        holds(&text, &["ok       manifests", "1 failed.\n", "   -> "]);
        holds(&text, parts);
    };
    failed(
        &good.replace("password: \"", "password: \"not-"),
        &[
            "failed   token",
            "refused the credentials of",
            "ok       credentials",
        ],
    );
    failed(
        &good.replace("sandbox-admin:", "sandbox-admim:"),
        &[
            "failed   credentials        cloud `sandbox-admin` is not in",
            "did you mean `sandbox-admim`?",
        ],
    );
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    failed(
        &good.replace(cloud.url().trim_start_matches("http://"), &dead.to_string()),
        &["failed   token", &dead.to_string()],
    );
    failed(
        &good.replace(
            "    region_name:",
            "    cacert: no-such.pem\n    region_name:",
        ),
        &["no-such.pem"],
    );
    failed(
        &good.replace("RegionOne", "RegionTwo"),
        &[
            "failed   catalog",
            "no block-storage service, which Volume need",
        ],
    );
    failed("clouds: [\n", &["failed   credentials", "clouds.yaml:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_this_machine_is_said_beside_the_cloud() {
    let cloud = cloud().await;
    let site = Site::new(&[]);
    site.clouds(&cloud.clouds_yaml());
    fs::write(site.manifests().join("bad.yaml"), "kind: [\n").unwrap();
    fs::write(site.directory.path().join("file"), "").unwrap();
    fs::write(
        site.directory.path().join("s.yaml"),
        "pruneGrace: 7s\nmaxInFlight: 0\n",
    )
    .unwrap();
    let arguments = [
        "doctor",
        "--config",
        "s.yaml",
        "--manifests",
        "manifests",
        "--state-dir",
        "file/state",
        "--cloud",
        "sandbox-admin",
    ];
    let text = ends(&site.run(&arguments), 1);
    holds(
        &text,
        &[
            "failed   settings           --max-in-flight is 0",
            "pruneGrace 7s (s.yaml)",
            "failed   manifests          manifests: 0 objects, 1 error\n",
            "-> stackward validate manifests",
            "failed   state              file/state cannot be made",
            "ok       token",
        ],
    );
    let none = ends(&site.run(&["doctor", "--cloud", "sandbox-admin"]), 0);
    holds(
        &none,
        &[
            "warning  manifests          no directory is named",
            "ok       compute",
        ],
    );
    let missing = site.run(&["doctor", "--config", "nowhere.yaml", "--cloud", "sandbox"]);
    holds(
        &ends(&missing, 1),
        &["failed   config", "cannot read nowhere.yaml"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cloud_and_a_full_quota_are_warnings_until_a_manifest_needs_more() {
    let mut options = Options::default();
    options.microversions.compute = 50;
    options.quotas.volume.insert("volumes".to_owned(), 0);
    let cloud = cloud_with(options).await;
    let site = Site::new(&[]);
    site.clouds(&cloud.clouds_yaml());
    let server = |more: &str| {
        let text = format!(
            "apiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata: {{name: s}}\nspec:\n  resource:\n    \
             flavorRef: {{filter: {{name: m1.tiny}}}}\n    imageRef: {{filter: {{name: cirros}}}}\n    networks: auto\n{more}"
        );
        fs::write(site.manifests().join("s.yaml"), text).unwrap();
        site.run(&doctor(&[]))
    };
    let text = ends(&server(""), 0);
    holds(
        &text,
        &[
            "warning  microversions      compute ends at 2.50, so no Server.tags (2.52)",
            "warning  quota block-storage used up: volumes 0/0",
        ],
    );
    let text = ends(&server("    tags: [blue]\n"), 1);
    holds(
        &text,
        &["failed   microversions      Server/s needs compute 2.52, this cloud ends at 2.50"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clouds_are_checked_when_that_is_wanted_or_none_is_named() {
    let cloud = cloud().await;
    let site = Site::new(&[]);
    site.clouds(&cloud.clouds_yaml());
    for arguments in [
        &["doctor", "--all-clouds", "--cloud", "sandbox-v2"][..],
        &["doctor"][..],
    ] {
        let text = ends(&site.run(arguments), 0);
        holds(&text, &["\ncloud sandbox-admin\n", "\ncloud sandbox-v2\n"]);
    }
}

#[test]
fn init_writes_what_validates_and_runs_and_never_overwrites() {
    let site = Site::new(&[]);
    let text = ends(&site.run(&["init", "here"]), 0);
    holds(
        &text,
        &[
            "wrote here/stackward.yaml\n",
            "wrote here/manifests/first.yaml\n",
            "stackward doctor --config",
        ],
    );
    let here = site.directory.path().join("here");
    let valid = ends(&site.run(&["validate", "--strict", "here/manifests"]), 0);
    holds(&valid, &["2 objects, 0 errors, 0 warnings.\n"]);
    let config = ["--config", "here/stackward.yaml"];
    holds(
        &ends(&site.run(&[&["doctor"], &config[..]].concat()), 0),
        &["0 failed"],
    );
    holds(
        &ends(&site.run(&[&["plan"], &config[..]].concat()), 0),
        &["Plan: 2 to create, 0 to change, 0 to replace, 0 to delete.\n"],
    );

    let once = site.run(&[&["run", "--once"], &config[..]].concat());
    holds(&ends(&once, 0), &["All 2 objects are Available.\n"]);

    // The example in it, once its `#` are taken away.
    let path = here.join("manifests/first.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, example) = text.split_once("\n#---\n").unwrap();
    let example: String = example
        .lines()
        .map(|line| format!("{}\n", &line[1..]))
        .collect();
    fs::write(&path, format!("{before}\n---\n{example}")).unwrap();
    let valid = ends(&site.run(&["validate", "--strict", "here/manifests"]), 0);
    holds(&valid, &["3 objects, 0 errors, 0 warnings.\n"]);
    let before = fs::read(&path).unwrap();
    fs::remove_file(here.join("stackward.yaml")).unwrap();
    let text = ends(&site.run(&["init", "here"]), 1);
    holds(
        &text,
        &[
            "first.yaml is there already, and nothing was written",
            "hint: ",
        ],
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!here.join("stackward.yaml").exists());
}

#[test]
fn init_names_the_only_cloud_that_there_is() {
    let site = Site::new(&[]);
    site.clouds("clouds:\n  lab:\n    auth: {auth_url: http://192.0.2.1/v3, username: u, password: p, project_name: p}\n");
    ends(&site.run(&["init"]), 0);
    let config = fs::read_to_string(site.directory.path().join("stackward.yaml")).unwrap();
    holds(&config, &["\ncloud: \"lab\"\n"]);
}

#[test]
fn explain_says_what_a_field_is_and_corrects_a_name() {
    let site = Site::new(&[]);
    let text = ends(&site.run(&["explain", "volumes.size"]), 0);
    holds(
        &text,
        &[
            "KIND:      Volume\n",
            "FIELD:     spec.resource.size\n",
            "TYPE:      integer\n",
        ],
    );
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    holds(
        &ends(&site.run(&["explain"]), 0),
        &["compute:", "\n  Server ", "ConfigMap"],
    );
    holds(
        &ends(&site.run(&["explain", "Volume.syze"]), 1),
        &["did you mean `size`?"],
    );
}

#[test]
fn completions_and_manual_pages_are_made_of_the_command_line() {
    let site = Site::new(&[]);
    let script = site.run(&["completions", "bash"]);
    let path = site.directory.path().join("stackward.bash");
    fs::write(&path, &script.stdout).unwrap();
    let bash = "source \"$1\" && complete -p stackward";
    let bash = Command::new("bash")
        .args(["-c", bash, "bash"])
        .arg(&path)
        .output()
        .unwrap();
    holds(&ends(&bash, 0), &["-F _stackward"]);
    let text = ends(&site.run(&["man", "--out", "man1"]), 0);
    holds(&text, &["manual pages in man1.\n"]);
    let page = fs::read_to_string(site.directory.path().join("man1/stackward-doctor.1")).unwrap();
    holds(&page, &[".SH SYNOPSIS", "stackward doctor", "Examples"]);
    assert_eq!(site.run(&["completions", "basch"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_programs_says_the_same_as_the_one_for_people() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1), ("b", 2)]);
    site.clouds(&cloud.clouds_yaml());
    assert_eq!(site.run(&with(&["--once"])).status.code(), Some(0));
    site.volume("b", 3);
    site.volume("c", 1);
    fs::remove_file(site.manifests().join("a.yaml")).unwrap();
    let mut plan = with(&["--detailed-exitcode"]);
    plan[0] = "plan";
    let text = site.run(&plan);
    holds(
        &ends(&text, 2),
        &[
            "  - Volume/a delete",
            "  ~ Volume/b change\n      ~ size: 2 -> 3\n",
            "  + Volume/c create\n",
            "Plan: 1 to create, 1 to change, 0 to replace, 1 to delete.\n",
        ],
    );
    let form = |form: &'static str| {
        let output = site.run(&[&plan[..], &["-o", form]].concat());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        output
    };
    let document = json(&form("json"));
    assert_eq!(document["formatVersion"], 1);
    assert_eq!(document["summary"]["delete"], 1);
    let actions: Vec<(&str, &str)> = document["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["object"].as_str().unwrap(),
                it["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        actions,
        [
            ("Volume/default/a", "delete"),
            ("Volume/default/b", "change"),
            ("Volume/default/c", "create")
        ]
    );
    let field = &document["objects"][1]["fields"][0];
    assert_eq!(
        (&field["have"], &field["want"], &field["made"]),
        (&2.into(), &3.into(), &true.into())
    );
    assert_eq!(out(&form("name")), "Volume/a\nVolume/b\nVolume/c\n");
    holds(&out(&form("yaml")), &["formatVersion: 1\n"]);

    let coloured = |name: &str, value: &str| {
        let mut command = site.command(&plan);
        let output = command
            .env("CLICOLOR_FORCE", "1")
            .env(name, value)
            .output()
            .unwrap();
        out(&output).contains('\u{1b}')
    };
    assert!(coloured("UNRELATED", "1"));
    assert!(!coloured("NO_COLOR", "1"));

    // What is wrong beats that there is something to do.
    fs::write(site.manifests().join("bad.yaml"), "kind: [\n").unwrap();
    assert_eq!(site.run(&plan).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_says_what_is_managed_and_by_whom() {
    let cloud = cloud().await;
    let site = Site::new(&[("mine", 1)]);
    site.clouds(&cloud.clouds_yaml());
    assert_eq!(site.run(&with(&["--once"])).status.code(), Some(0));
    let list = |more: &[&str]| {
        let arguments = ["inventory", "volumes", "--cloud", "sandbox-admin"];
        site.run(&[&arguments[..], more].concat())
    };
    let text = ends(&list(&["--state-dir", "state"]), 0);
    holds(
        &text,
        &[
            "NAME",
            "MANAGED",
            "Volume/mine",
            "1 of kind Volume: 1 managed here, 0 by another stackward, 0 by none.\n",
        ],
    );
    let other = json(&list(&[
        "--state-dir",
        "none",
        "--owner",
        "00000000-0000-4000-8000-000000000001",
        "-o",
        "json",
    ]));
    assert_eq!(other["items"][0]["managed"], "other");
    let nobody = json(&list(&["--state-dir", "none", "-o", "json"]));
    assert_eq!(nobody["items"][0]["managed"], "unknown");
    assert_eq!(nobody["items"][0]["owner"].as_str().unwrap().len(), 8);

    // The demo project sees nothing of it, and may not see all.
    let demo = site.run(&["inventory", "Volume", "--cloud", "sandbox-v2", "-o", "name"]);
    assert_eq!(ends(&demo, 0), "");
    let all = site.run(&[
        "inventory",
        "Server",
        "--cloud",
        "sandbox-v2",
        "--all-projects",
    ]);
    holds(
        &ends(&all, 1),
        &[
            "Server cannot be listed",
            "hint: --all-projects takes the role",
        ],
    );
    let wrong = site.run(&["inventory", "Sever", "--cloud", "sandbox-v2"]);
    holds(&ends(&wrong, 1), &["did you mean `Server`?"]);

    // Another daemon made something else in the project of demo; the administrator sees both.
    let demo = [
        "run",
        "--once",
        "--manifests",
        "manifests",
        "--cloud",
        "sandbox-v2",
        "--state-dir",
        "second",
    ];
    assert_eq!(site.run(&demo).status.code(), Some(0));
    let all = json(&list(&[
        "--state-dir",
        "state",
        "--all-projects",
        "-o",
        "json",
    ]));
    let managed: Vec<&str> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["managed"].as_str().unwrap())
        .collect();
    assert_eq!(managed.len(), 2);
    assert!(
        managed.contains(&"yes") && managed.contains(&"other"),
        "{managed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_daemon_that_has_the_journal_open_inventory_and_doctor_ask_around_it() {
    let cloud = cloud().await;
    let site = Site::new(&[("mine", 1)]);
    site.clouds(&cloud.clouds_yaml());
    let quiet = ["--listen", "127.0.0.1:0", "--log-level", "error"];
    let daemon = Daemon::start(site.command(&with(&quiet)));
    let line = daemon.line_with("metrics:   http://");
    let address = line
        .split("metrics:")
        .nth(1)
        .unwrap()
        .trim()
        .trim_end_matches("/metrics")
        .to_owned();
    daemon.line_with("Available.");
    let inventory = [
        "inventory",
        "Volume",
        "--cloud",
        "sandbox-admin",
        "--state-dir",
        "state",
    ];
    let text = ends(
        &site.run(&[&inventory[..], &["--address", &address]].concat()),
        0,
    );
    holds(&text, &["Volume/mine", "1 managed here"]);
    let text = ends(
        &site.run(&[&inventory[..], &["--address", "127.0.0.1:1"]].concat()),
        0,
    );
    holds(&text, &["1 unknown", "--address says where it is"]);
    let text = ends(&site.run(&doctor(&[])), 0);
    holds(
        &text,
        &["ok       journal            in use: a stackward runs with state"],
    );
}
