//! The endpoint behind a web.yml, asked by a real HTTPS client: certificates, passwords, reloads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::{Certificate, Client, Identity, StatusCode};
use site::{Daemon, PATIENCE, Site, err, out};

const RUN: [&str; 10] = [
    "run",
    "--manifests",
    "manifests",
    "--cloud",
    "sandbox",
    "--listen",
    "127.0.0.1:0",
    "--web-config",
    "web.yml",
    "--log-format=text",
];

const TLS: &str = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key for 127.0.0.1.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn serve(&self, site: &Site) {
        let (cert, key) = self.issue();
        // Each is whole at every moment; both at once is not possible.
        for (name, text) in [("key.pem", key), ("cert.pem", cert)] {
            write(site, name, &text);
        }
    }

    fn client(&self) -> reqwest::ClientBuilder {
        let root = Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([root])
    }
}

fn write(site: &Site, name: &str, text: &str) {
    let directory = site.directory.path();
    fs::write(directory.join("new"), text).unwrap();
    fs::rename(directory.join("new"), directory.join(name)).unwrap();
}

fn users(password: &str) -> String {
    let hash = bcrypt::hash(password, 4).unwrap();
    format!("basic_auth_users:\n  prometheus: {hash}\n")
}

fn started(site: &Site) -> (Daemon, String) {
    let daemon = Daemon::start(site.command(&RUN));
    let line = daemon.line_with("metrics:");
    let url = line.split_whitespace().nth(1).unwrap();
    (daemon, url.trim_end_matches("/metrics").to_owned())
}

/// Asks until it holds: a signal and a file take a moment.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while !holds().await {
        tick.tick().await;
        assert!(Instant::now() < end, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_the_password_whatever_is_asked_for() {
    let (site, authority) = (Site::new(&[("a", 1)]), Authority::new());
    authority.serve(&site);
    write(&site, "web.yml", &(TLS.to_owned() + &users("right")));
    let (daemon, url) = started(&site);
    assert!(url.starts_with("https://"), "{url}");
    let client = authority.client().build().unwrap();
    let status = async |path: &str, login: Option<(&str, &str)>| {
        let mut request = client.get(format!("{url}{path}"));
        if let Some((name, password)) = login {
            request = request.basic_auth(name, Some(password));
        }
        let answer = request.send().await.unwrap();
        if answer.status() == StatusCode::UNAUTHORIZED {
            let ask = answer.headers()["www-authenticate"].to_str().unwrap();
            assert!(ask.starts_with("Basic"), "{ask}");
            // Kubernetes' clients are told in their own form.
            let first = path.split(['/', '?']).nth(1).unwrap_or_default();
            if ["api", "apis", "openapi", "version"].contains(&first) {
                let text = answer.text().await.unwrap();
                let status: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(status["kind"], "Status");
                assert_eq!(
                    (&status["code"], &status["reason"]),
                    (&401.into(), &"Unauthorized".into())
                );
            } else {
                assert_eq!(answer.text().await.unwrap(), "Unauthorized\n");
            }
            return 401;
        }
        answer.status().as_u16()
    };
    let right = Some(("prometheus", "right"));
    for path in [
        "/metrics",
        "/livez",
        "/readyz",
        "/status",
        "/healthz",
        "/",
        "/graph",
        "/objects/Volume/default/a",
        "/changes",
        "/page.js",
        "/version",
        "/api/v1/namespaces",
        "/apis",
        "/apis/stackward.dev/v1alpha1/volumes",
        "/apis/stackward.dev/v1alpha1/volumes?watch=1",
        "/openapi/v3",
        "/nowhere",
        "/livez/../metrics",
        "//metrics",
        "/%6detrics",
    ] {
        for login in [
            None,
            Some(("prometheus", "wrong")),
            Some(("prometheus", "")),
            Some(("nobody", "right")),
            Some(("", "")),
        ] {
            assert_eq!(status(path, login).await, 401, "{path} {login:?}");
        }
    }
    // The second time it is known; a wrong one is not known for that.
    for _ in 0..2 {
        assert_eq!(status("/metrics", right).await, 200);
        assert_eq!(status("/livez", right).await, 200);
        assert_eq!(status("/graph", right).await, 200);
        assert_eq!(status("/apis", right).await, 200);
        assert_eq!(status("/nowhere", right).await, 404);
        assert_eq!(
            status("/metrics", Some(("prometheus", "right "))).await,
            401
        );
    }
    for value in [
        "Basic",
        "Basic !!",
        "Bearer right",
        "basic cHJvbWV0aGV1cw==",
    ] {
        let request = client.get(format!("{url}/metrics"));
        let answer = request.header("authorization", value).send().await;
        assert_eq!(answer.unwrap().status(), 401, "{value}");
    }
    let plain = format!("http{}", url.strip_prefix("https").unwrap());
    let answer = client.get(format!("{plain}/metrics")).send().await;
    assert!(answer.is_err(), "what is no TLS is not answered");

    // Another password; then a file that cannot be used, which changes nothing.
    write(&site, "web.yml", &(TLS.to_owned() + &users("other")));
    daemon.signal("-HUP");
    let other = Some(("prometheus", "other"));
    until("the new password holds", async || {
        status("/metrics", other).await == 200
    })
    .await;
    assert_eq!(status("/metrics", right).await, 401);
    write(&site, "web.yml", "basic_auth_user: {}\n");
    daemon.signal("-HUP");
    site.volume("b", 1);
    daemon.line_with("Volume/b");
    assert_eq!(status("/metrics", None).await, 401);
    assert_eq!(status("/metrics", other).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_when_they_change_and_a_slow_client_holds_nobody_up() {
    let (site, authority) = (Site::new(&[]), Authority::new());
    authority.serve(&site);
    write(&site, "web.yml", TLS);
    let (_daemon, url) = started(&site);
    let _silent = TcpStream::connect(url.strip_prefix("https://").unwrap()).unwrap();
    let ask = async |authority: &Authority| {
        let client = authority.client().build().unwrap();
        let answer = client.get(format!("{url}/livez")).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    assert!(ask(&authority).await);
    let next = Authority::new();
    assert!(!ask(&next).await, "it is not its certificate");
    // The key alone is no pair with the old certificate.
    next.serve(&site);
    until("the new certificate is shown", async || ask(&next).await).await;
    assert!(!ask(&authority).await);
    write(&site, "cert.pem", "no certificate\n");
    assert!(ask(&next).await, "what cannot be used changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_with_a_certificate_of_the_authority_come_in() {
    let (site, authority) = (Site::new(&[]), Authority::new());
    authority.serve(&site);
    write(&site, "ca.pem", &authority.0.pem());
    write(
        &site,
        "web.yml",
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  min_version: TLS13\n  \
         client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n",
    );
    let (_daemon, url) = started(&site);
    let with = |shown: Option<(String, String)>| {
        let identity = shown.map(|(cert, key)| Identity::from_pem((cert + &key).as_bytes()));
        let builder = authority.client();
        let builder = match identity {
            Some(identity) => builder.identity(identity.unwrap()),
            None => builder,
        };
        builder.build().unwrap().get(format!("{url}/livez"))
    };
    assert!(with(None).send().await.is_err());
    assert!(with(Some(Authority::new().issue())).send().await.is_err());
    let (cert, key) = authority.issue();
    let answer = with(Some((cert.clone(), key.clone()))).send().await;
    assert_eq!(answer.unwrap().status(), 200);

    write(&site, "cert-alone.pem", &cert);
    write(&site, "me.pem", &(cert + &key));
    let get = |shown: &[&str]| {
        let asked = ["get", "volumes", "--address", &url, "--ca-file", "ca.pem"];
        site.run(&[&asked[..], shown].concat())
    };
    assert_eq!(get(&[]).status.code(), Some(1));
    let alone = get(&["--cert-file", "cert-alone.pem"]);
    let said = err(&alone);
    assert!(
        said.contains("no certificate with its key in cert-alone.pem"),
        "{said}"
    );
    let whole = get(&["--cert-file", "me.pem"]);
    assert_eq!(whole.status.code(), Some(0), "{}", err(&whole));
}

#[test]
fn a_token_is_sent_along_and_never_shown() {
    let site = Site::new(&[]);
    write(&site, "token", "open-sesame\n");
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut head = String::new();
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            let line = line.unwrap();
            if line.is_empty() {
                break;
            }
            head.push_str(&(line + "\n"));
        }
        let refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(refusal).unwrap();
        head
    });
    let token = ["--token-file", "token"];
    let output = site.run(&[&["get", "volumes", "--address", &address], &token[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let head = heard.join().unwrap();
    assert!(
        head.contains("authorization: Bearer open-sesame\n"),
        "{head}"
    );
    let said = err(&output) + &out(&output);
    assert!(!said.contains("open-sesame"), "{said}");
}

#[test]
fn a_web_yml_that_cannot_be_used_is_an_error_with_file_line_and_key() {
    let site = Site::new(&[]);
    for (text, parts) in [
        (
            "basic_auth_users: {}\nhttp_servr: {}\n",
            ["web.yml:2:1", "http_servr"],
        ),
        (TLS, ["web.yml: tls_server_config", "key.pem"]),
    ] {
        write(&site, "web.yml", text);
        let output = site.run(&RUN);
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        for part in parts.iter().chain(&["hint: "]) {
            assert!(err(&output).contains(part), "{part} in {}", err(&output));
        }
    }
}

#[test]
fn an_open_address_that_others_reach_is_warned_of() {
    let site = Site::new(&[]);
    let warned = |more: &[&str]| {
        let log = site.directory.path().join("log");
        let mut command = site.command(&["run", "--manifests", "manifests", "--cloud", "sandbox"]);
        command.args(more).args(["--log-format", "json"]);
        let file = fs::File::create(&log).unwrap();
        let mut daemon = Daemon::start_to(command, file.into());
        daemon.line_with("metrics:");
        daemon.signal("-TERM");
        daemon.end();
        fs::read_to_string(log)
            .unwrap()
            .contains("--web-config guards it")
    };
    assert!(warned(&["--listen", "0.0.0.0:0"]));
    assert!(!warned(&["--listen", "127.0.0.1:0"]));
    write(&site, "web.yml", &users("right"));
    assert!(!warned(&[
        "--listen",
        "0.0.0.0:0",
        "--web-config",
        "web.yml"
    ]));
}

#[test]
fn commands_come_in_with_an_authority_and_a_password_or_say_what_they_lack() {
    let (site, authority) = (Site::new(&[("a", 1)]), Authority::new());
    authority.serve(&site);
    write(&site, "ca.pem", &authority.0.pem());
    write(&site, "password", "right\n");
    write(&site, "web.yml", &(TLS.to_owned() + &users("right")));
    let (_daemon, url) = started(&site);
    let get = |more: &[&str], password: Option<&str>| {
        let mut command = site.command(&["get", "volumes", "--address", &url]);
        command.args(more);
        command.envs(password.map(|it| ("STACKWARD_PASSWORD", it)));
        command.output().unwrap()
    };
    let ca = ["--ca-file", "ca.pem"];
    let me = ["--ca-file", "ca.pem", "--user", "prometheus"];
    let file = [&me[..], &["--password-file", "password"]].concat();
    for (more, password, hint) in [
        (&me[..0], None, "--ca-file names the authority"),
        (&ca[..], None, "give --user with STACKWARD_PASSWORD"),
        (&me[..], None, "prometheus has no password"),
        (
            &me[..],
            Some("wrong"),
            "does not accept this name and password",
        ),
        (
            &["--ca-file", "password"],
            None,
            "no certificate in password",
        ),
    ] {
        let output = get(more, password);
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        let said = err(&output);
        assert!(
            said.contains(hint) && !said.contains("wrong"),
            "{more:?}: {said}"
        );
    }
    for output in [get(&me, Some("right")), get(&file, None)] {
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    }
    // Without TLS nobody answers.
    let plain = url.replace("https://", "http://");
    let output = site.run(&["get", "volumes", "--address", &plain]);
    assert!(
        err(&output).contains("it may speak TLS"),
        "{}",
        err(&output)
    );
}
