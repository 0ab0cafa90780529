//! The stage with a real cloud: the program as a process, and a person beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;
use stackward::cloud::{Cloud, Options};
use stackward::kinds::call::{Call, CallError, Method, Reply, Service};

use crate::stage::Stage;

/// The daemon's own waits, shortened; what it does in them is the same.
const BRISK: [&str; 18] = [
    // Some thirty kinds: with 1 s the lab does little else than being looked at.
    "--poll-interval",
    "3s",
    "--rescan-interval",
    "1s",
    "--prune-grace",
    "2s",
    "--prune-data-grace",
    "2s",
    "--gone-after",
    "3s",
    "--uncertain-window",
    "20s",
    // All of it goes at once, in the end: not what the guards are for.
    "--prune-max-share",
    "100%",
    "--prune-per-cycle",
    "1000",
    "--prune-per-hour",
    "10000",
];

/// The name of the test's own cloud in its own clouds.yaml.
const CLOUD: &str = "life";

pub(crate) struct Live {
    directory: tempfile::TempDir,
    account: Account,
    cloud: Cloud,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    address: String,
    daemon: Option<Child>,
    logs: Vec<PathBuf>,
}

impl Live {
    /// A daemon with an owner of its own, in a project and as a user of its own with an
    /// administrator's rights, which the administrator of this cloud makes.
    pub(crate) fn new(cloud_name: &str, run: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let account = Account::open(&runtime, cloud_name, run);
        let path = directory.path().join("clouds.yaml");
        fs::write(&path, &account.clouds).unwrap();
        let variables = [(
            "OS_CLIENT_CONFIG_FILE".to_owned(),
            path.display().to_string(),
        )];
        let environment = Environment {
            vars: variables.into(),
            ..Environment::default()
        };
        let profile = Profile::load(Some(CLOUD), &environment).unwrap();
        let cloud = Cloud::new(profile, Options::default()).unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut live = Self {
            address: port.local_addr().unwrap().to_string(),
            directory,
            account,
            cloud,
            runtime,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            daemon: None,
            logs: Vec::new(),
        };
        drop(port);
        live.start();
        live
    }

    fn start(&mut self) {
        let path = self
            .directory
            .path()
            .join(format!("log-{}", self.logs.len()));
        let log = fs::File::create(&path).unwrap();
        self.logs.push(path);
        let child = Command::new(env!("CARGO_BIN_EXE_stackward"))
            .current_dir(self.directory.path())
            .env(
                "OS_CLIENT_CONFIG_FILE",
                self.directory.path().join("clouds.yaml"),
            )
            .args(["run", "--manifests", "manifests", "--state-dir", "state"])
            .args(["--cloud", CLOUD, "--listen", &self.address])
            .args([
                "--log-format",
                "json",
                "--log-level",
                "info",
                "--prune-allow-empty",
            ])
            .args(BRISK)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
    }

    fn stop(&mut self) {
        let Some(mut child) = self.daemon.take() else {
            return;
        };
        let pid = child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        let end = Instant::now() + Duration::from_secs(40);
        while told.is_ok() && Instant::now() < end {
            if child.try_wait().is_ok_and(|it| it.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _: std::io::Result<()> = child.kill();
        let _: std::io::Result<_> = child.wait();
    }

    fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.runtime.block_on(async {
            let answer = self
                .http
                .get(url)
                .timeout(Duration::from_secs(10))
                .send()
                .await?;
            answer.text().await
        });
        answer.ok()
    }

    /// How often the directory was read, if the daemon answers.
    fn readings(&self) -> Option<u64> {
        let text = self.get("/metrics")?;
        let counts = text
            .lines()
            .filter(|line| line.starts_with("stackward_manifest_scans_total"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        Some(counts.sum())
    }

    /// Until the directory was read so many times; how many times that is now.
    fn wait_for_reading(&mut self, least: u64) -> u64 {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(readings) = self.readings().filter(|it| *it >= least) {
                return readings;
            }
            self.check_alive();
            assert!(
                Instant::now() < end,
                "the directory is not read\n{}",
                self.tail()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn check_alive(&mut self) {
        let ended = self
            .daemon
            .as_mut()
            .and_then(|child| child.try_wait().unwrap());
        assert!(
            ended.is_none(),
            "the daemon ended: {ended:?}\n{}",
            self.tail()
        );
    }

    fn tail(&self) -> String {
        let text = self
            .logs
            .last()
            .map(|path| fs::read_to_string(path).unwrap_or_default());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Stage for Live {
    fn declare(&mut self, manifests: &[(String, String)], files: &BTreeMap<String, String>) {
        let folder = self.directory.path().join("manifests");
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        if manifests.is_empty() {
            fs::remove_file(folder.join("life.yaml")).unwrap();
        }
        // Of two readings at least one began after the change. Each is asked for by a change.
        for _ in 0..2 {
            let before = self.wait_for_reading(0);
            for (name, text) in manifests {
                // Whole or not at all.
                let draft = self.directory.path().join("draft");
                fs::write(&draft, text).unwrap();
                fs::rename(&draft, folder.join(name)).unwrap();
            }
            self.wait_for_reading(before + 1);
        }
    }

    fn pass(&mut self, span: Duration) {
        std::thread::sleep(span);
        self.check_alive();
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn patience(&self) -> (Duration, Duration) {
        let factor = std::env::var("E2E_PATIENCE").ok();
        let factor: u64 = factor.and_then(|it| it.parse().ok()).unwrap_or(1);
        (
            Duration::from_millis(500),
            Duration::from_secs(300 * factor),
        )
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(8)
    }

    fn picture(&mut self) -> Value {
        let text = self.get("/status");
        let picture: Value = text
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let objects = picture["objects"].as_object().into_iter().flatten();
        let projects = objects.filter(|(key, _)| key.starts_with("Project/"));
        let ids = projects.filter_map(|(_, object)| object["status"]["id"].as_str());
        self.account.projects.extend(ids.map(str::to_owned));
        picture
    }

    fn writes(&mut self) -> Vec<String> {
        let mut writes = Vec::new();
        for path in &self.logs {
            for line in fs::read_to_string(path).unwrap().lines() {
                let Ok(line) = serde_json::from_str::<Value>(line) else {
                    continue;
                };
                let fields = line.get("fields").unwrap_or(&line);
                let said = fields["message"].as_str().unwrap_or_default();
                let intent = fields["intent"].as_str().unwrap_or_default();
                if matches!(said, "step done" | "step failed") && intent != "inspect" {
                    writes.push(format!("{}: {intent}", fields["object"].as_str().unwrap()));
                }
            }
        }
        writes
    }

    fn send(&mut self, call: &Call) -> Result<Reply, CallError> {
        self.runtime.block_on(self.cloud.send(call, None))
    }

    fn user(&self) -> String {
        self.account.user.clone()
    }

    fn restart(&mut self) {
        self.stop();
        self.start();
        let end = Instant::now() + Duration::from_secs(60);
        while self.picture()["looked"] != true {
            self.check_alive();
            assert!(Instant::now() < end, "it does not look\n{}", self.tail());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Whatever is left is to go: the daemon knows what it made.
        let manifests = self.directory.path().join("manifests");
        let _: std::io::Result<()> = fs::remove_file(manifests.join("life.yaml"));
        let end = Instant::now() + Duration::from_secs(120);
        while Instant::now() < end && self.daemon.is_some() {
            let picture = self.picture();
            if picture["objects"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
            {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        self.stop();
        self.account.close(&self.runtime);
        if std::thread::panicking() {
            let kept = self.directory.path().to_owned();
            self.directory.disable_cleanup(true);
            eprintln!("logs are kept in {}", kept.display());
        }
    }
}

/// A project and a user of the test's own.
struct Account {
    administrator: Cloud,
    project: String,
    user: String,
    clouds: String,
    /// Every project that there was: Neutron leaves a security group of each behind.
    projects: BTreeSet<String>,
}

impl Account {
    fn open(runtime: &tokio::runtime::Runtime, administrator: &str, run: &str) -> Self {
        let profile = Profile::load(Some(administrator), &Environment::of_process()).unwrap();
        let administrator = Cloud::new(profile, Options::default()).unwrap();
        let send = |method, path: String, body: Value| {
            let call = Call::new(Service::Identity, method, "account", path);
            let call = if body.is_null() {
                call
            } else {
                call.json(body)
            };
            runtime
                .block_on(administrator.send(&call, None))
                .unwrap()
                .body
        };
        let scope = runtime.block_on(administrator.scope()).unwrap();
        let password = format!("secret-of-{run}");
        let project = json!({"project": {"name": run, "domain_id": "default"}});
        let project = send(Method::Post, "projects".to_owned(), project);
        let project = text(&project["project"]["id"]);
        let user = json!({"user": {"name": run, "domain_id": "default", "password": password}});
        let user = send(Method::Post, "users".to_owned(), user);
        let user = text(&user["user"]["id"]);
        let roles = send(Method::Get, "roles".to_owned(), Value::Null);
        for role in roles["roles"].as_array().unwrap() {
            if matches!(role["name"].as_str(), Some("admin" | "member")) {
                let role = text(&role["id"]);
                let path = format!("projects/{project}/users/{user}/roles/{role}");
                send(Method::Put, path, Value::Null);
            }
        }
        let auth = json!({"auth_url": scope.auth_url, "username": run, "password": password,
            "project_name": run, "user_domain_id": "default", "project_domain_id": "default"});
        let clouds = json!({"clouds": {CLOUD: {"auth": auth, "region_name": scope.region}}});
        Self {
            administrator,
            projects: [project.clone()].into(),
            project,
            user,
            clouds: clouds.to_string(),
        }
    }

    fn close(&self, runtime: &tokio::runtime::Runtime) {
        for project in &self.projects {
            let mut groups = Call::new(Service::Network, Method::Get, "account", "security-groups");
            groups.query = vec![("project_id".to_owned(), project.clone())];
            let found = runtime.block_on(self.administrator.send(&groups, None));
            let found = found.map(|reply| reply.body).unwrap_or_default();
            for group in found["security_groups"].as_array().into_iter().flatten() {
                let path = format!("security-groups/{}", text(&group["id"]));
                let call = Call::new(Service::Network, Method::Delete, "account", path.clone());
                if let Err(error) = runtime.block_on(self.administrator.send(&call, None)) {
                    eprintln!("{path} is left behind: {error}");
                }
            }
        }
        for path in [
            format!("users/{}", self.user),
            format!("projects/{}", self.project),
        ] {
            let call = Call::new(Service::Identity, Method::Delete, "account", path.clone());
            if let Err(error) = runtime.block_on(self.administrator.send(&call, None)) {
                eprintln!("{path} is left behind: {error}");
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
