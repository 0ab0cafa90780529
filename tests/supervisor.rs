//! The real program under a service manager that is played by the test: readiness, status, watchdog,
//! reload, sockets and credentials that are handed over. systemd itself is not needed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use site::{Daemon, PATIENCE, Site, cloud, err, get, with};

/// What systemd is to `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    fn of(site: &Site, command: &mut Command) -> Self {
        let path = site.directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", &path);
        Self(socket)
    }

    /// All messages until one that has a line with this beginning, and that one.
    fn until(&self, beginning: &str) -> Vec<String> {
        let mut heard: Vec<String> = Vec::new();
        let mut message = [0; 4096];
        loop {
            let Ok(length) = self.0.recv(&mut message) else {
                panic!("`{beginning}` was not said: {heard:#?}");
            };
            let text = String::from_utf8(message[..length].to_vec()).unwrap();
            let found = text.lines().any(|line| line.starts_with(beginning));
            heard.push(text);
            if found {
                return heard;
            }
        }
    }
}

fn has(messages: &[String], beginning: &str) -> bool {
    let mut lines = messages.iter().flat_map(|message| message.lines());
    lines.any(|line| line.starts_with(beginning))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_after_the_first_look_and_tells_of_reload_and_stop() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1)]);
    site.clouds(&cloud.clouds_yaml());
    let mut command = site.command(&with(&["--listen", "127.0.0.1:0", "--log-level", "error"]));
    command.env("WATCHDOG_USEC", "900000");
    let manager = Manager::of(&site, &mut command);
    let mut daemon = Daemon::start(command);
    let line = daemon.line_with("metrics:");
    let address = line.split("http://").nth(1).unwrap();
    let address = address.trim_end_matches("/metrics").to_owned();

    let start = manager.until("READY=1");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(has(&start, "EXTEND_TIMEOUT_USEC="), "{start:#?}");
    assert!(
        has(&start, "STATUS=looking for the first time"),
        "{start:#?}"
    );
    // Where the cloud is quick, the first picture shows it already.
    if !has(&start, "STATUS=1 object, 1 InSync") {
        manager.until("STATUS=1 object, 1 InSync");
    }
    let silent = manager.until("WATCHDOG=1");
    assert!(!has(&silent, "READY=1"), "once is enough: {silent:#?}");
    manager.until("WATCHDOG=1");

    daemon.signal("-HUP");
    let reload = manager.until("RELOADING=1");
    let time = reload.last().unwrap().lines().nth(1).unwrap();
    let time = time.strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    manager.until("READY=1");

    daemon.signal("-TERM");
    manager.until("STOPPING=1");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn without_a_cloud_it_is_not_ready_whatever_is_reloaded_and_says_why() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = dead.local_addr().unwrap();
    drop(dead);
    let site = Site::new(&[("a", 1)]);
    site.clouds(&format!(
        "clouds: {{sandbox-admin: {{auth: {{auth_url: 'http://{address}', username: u, password: p, \
         project_name: p, user_domain_name: Default, project_domain_name: Default}}}}}}\n"
    ));
    let settings = site.directory.path().join("stackward.yaml");
    fs::write(&settings, "pollInterval: 10s\n").unwrap();
    let more = ["--listen", "none", "--config", "stackward.yaml"];
    let mut command = site.command(&with(&more));
    command.env("STACKWARD_LOG", "off");
    let manager = Manager::of(&site, &mut command);
    let mut daemon = Daemon::start(command);
    let mut heard = manager.until("STATUS=cloud sandbox-admin: ");
    fs::write(&settings, "pollInterval: soon\n").unwrap();
    daemon.signal("-HUP");
    heard.extend(manager.until("STATUS=not reloaded: "));
    daemon.signal("-TERM");
    heard.extend(manager.until("STOPPING=1"));
    for word in ["READY=1", "RELOADING=1"] {
        assert!(!has(&heard, word), "{word} in {heard:#?}");
    }
    assert_eq!(daemon.end(), Some(0));
}

/// The command with a socket as descriptor 3, as systemd starts it: its process is the shell's.
fn activated(command: &Command, socket: impl Into<OwnedFd>) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().stdin(Stdio::from(socket.into()));
    shell.current_dir(command.get_current_dir().unwrap());
    shell.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let script = "exec 3<&0 < /dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(command.get_program());
    shell.args(command.get_args());
    shell
}

#[test]
fn the_endpoint_is_on_the_socket_that_is_handed_over() {
    let site = Site::new(&[("a", 1)]);
    let run = ["run", "--manifests", "manifests", "--cloud", "sandbox"];
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let elsewhere = ["--listen", "127.0.0.1:1", "--log-level", "error"];
    let command = site.command(&[&run[..], &elsewhere].concat());
    // Who connects before the start waits in the socket, and is answered.
    let mut daemon = Daemon::start(activated(&command, socket));
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    let line = daemon.line_with("metrics:");
    assert!(
        line.contains(&format!("http://{address}/metrics")),
        "{line}"
    );
    daemon.signal("-TERM");
    assert_eq!(daemon.end(), Some(0));

    let socket = UnixListener::bind(site.directory.path().join("socket")).unwrap();
    let output = activated(&site.command(&run), socket).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for part in ["handed over as number 1", "hint: ", "ListenStream=ADDRESS"] {
        assert!(err(&output).contains(part), "{}", err(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_handed_over_are_found() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1)]);
    let given = site.directory.path().join("credentials");
    fs::create_dir(&given).unwrap();
    fs::write(given.join("clouds.yaml"), cloud.clouds_yaml()).unwrap();
    let mut command = site.command(&with(&["--once"]));
    command.env_remove("OS_CLIENT_CONFIG_FILE");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "there is no clouds.yaml yet");
    let output = command
        .env("CREDENTIALS_DIRECTORY", &given)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn an_error_in_the_journal_has_its_priority() {
    let site = Site::new(&[]);
    let log = fs::File::create(site.directory.path().join("stream")).unwrap();
    let found = log.metadata().unwrap();
    let mut command = site.command(&["run", "--manifests", "nowhere"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()));
    assert_eq!(command.stderr(log).status().unwrap().code(), Some(2));
    let text = fs::read_to_string(site.directory.path().join("stream")).unwrap();
    assert!(text.starts_with("<3>error: --manifests"), "{text}");
    // The same variable, inherited by a process whose stderr is another one.
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(err(&output).starts_with("error: "), "{}", err(&output));
}
