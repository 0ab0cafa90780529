//! Who is believed to be the cloud, over real TLS with certificates made here.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;
use stackward::cloud::{Cloud, Options};
use stackward::kinds::call::{Call, CallError, Method, Reply, Service};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn params(name: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("test {name}"));
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// A certificate and its key as PEM.
struct Shown {
    cert: String,
    key: String,
}

fn issued(name: &str, issuer: &Issuer<'_, KeyPair>) -> Shown {
    let key = KeyPair::generate().unwrap();
    let cert = params(name, false).signed_by(&key, issuer).unwrap();
    Shown {
        cert: cert.pem(),
        key: key.serialize_pem(),
    }
}

fn self_signed(params: &CertificateParams) -> Shown {
    let key = KeyPair::generate().unwrap();
    Shown {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(params("authority", true), KeyPair::generate().unwrap()).unwrap()
}

/// A server that answers `{}` to whoever gets through; returns its port.
async fn serve(shown: &Shown, clients: Option<&str>) -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(shown.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&config));
            drop(tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut vec![0; 4096]).await;
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }));
        }
    }));
    port
}

fn profile(url: &str, more: &str) -> Profile {
    let text = format!(
        "clouds:\n  c:\n    auth_type: none\n    network_endpoint_override: {url}/v2.0\n{more}"
    );
    Profile::from_clouds_yaml(&text, "c", None, &Environment::default()).unwrap()
}

async fn ask(url: &str, more: &str) -> Result<Reply, CallError> {
    let cloud = Cloud::new(profile(url, more), Options::default()).unwrap();
    // A write, so that nothing is tried twice.
    let call = Call::new(Service::Network, Method::Post, "networks", "networks");
    cloud.send(&call, None).await
}

fn not_sent(outcome: Result<Reply, CallError>) -> (String, String) {
    match outcome {
        Err(CallError::NotSent { message, hint }) => (message, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn file(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_cacert_makes_it_known() {
    let directory = TempDir::new().unwrap();
    let authority = authority();
    let port = serve(&issued("localhost", &authority), None).await;
    let url = format!("https://localhost:{port}");
    let (message, hint) = not_sent(ask(&url, "").await);
    assert!(
        message.contains("not issued by an authority that is trusted here"),
        "{message}"
    );
    assert!(hint.contains("`cacert`"), "{hint}");
    // A bundle: the right one among others.
    let other = self_signed(&params("other", true));
    let bundle = file(
        &directory,
        "ca.pem",
        &format!("{}{}", other.cert, authority.pem()),
    );
    assert_eq!(
        ask(&url, &format!("    cacert: {bundle}\n"))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_and_says_for_which() {
    let directory = TempDir::new().unwrap();
    let authority = authority();
    let ca = format!(
        "    cacert: {}\n",
        file(&directory, "ca.pem", &authority.pem())
    );
    let port = serve(&issued("cloud.example", &authority), None).await;
    let (message, _) = not_sent(ask(&format!("https://localhost:{port}"), &ca).await);
    assert!(
        message.contains("another host name") && message.contains("cloud.example"),
        "{message}"
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_believed_when_it_is_the_very_one_in_cacert() {
    let directory = TempDir::new().unwrap();
    for ca in [true, false] {
        let own = self_signed(&params("localhost", ca));
        let port = serve(&own, None).await;
        let url = format!("https://localhost:{port}");
        let pinned = file(&directory, "own.pem", &own.cert);
        let reply = ask(&url, &format!("    cacert: {pinned}\n")).await;
        assert_eq!(reply.unwrap().status, 200, "CA:{ca}");
        let twin = file(
            &directory,
            "twin.pem",
            &self_signed(&params("localhost", ca)).cert,
        );
        let (message, _) = not_sent(ask(&url, &format!("    cacert: {twin}\n")).await);
        assert!(message.contains("certificate"), "{message}");
        let elsewhere = format!("https://127.0.0.1:{port}");
        let (message, _) = not_sent(ask(&elsewhere, &format!("    cacert: {pinned}\n")).await);
        assert!(message.contains("another host name"), "CA:{ca} {message}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_even_when_it_is_pinned() {
    let directory = TempDir::new().unwrap();
    for ca in [true, false] {
        let mut params = params("localhost", ca);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let own = self_signed(&params);
        let port = serve(&own, None).await;
        let pinned = file(&directory, "own.pem", &own.cert);
        let outcome = ask(
            &format!("https://localhost:{port}"),
            &format!("    cacert: {pinned}\n"),
        )
        .await;
        let (message, hint) = not_sent(outcome);
        assert!(message.contains("has expired"), "{message}");
        assert!(hint.contains("clock"), "{hint}");
    }
}

#[tokio::test]
async fn verification_can_be_switched_off() {
    let port = serve(&self_signed(&params("other.example", true)), None).await;
    for more in ["    verify: false\n", "    insecure: true\n"] {
        assert_eq!(
            ask(&format!("https://localhost:{port}"), more)
                .await
                .unwrap()
                .status,
            200
        );
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let directory = TempDir::new().unwrap();
    let authority = authority();
    let port = serve(&issued("localhost", &authority), Some(&authority.pem())).await;
    let url = format!("https://localhost:{port}");
    let ca = format!(
        "    cacert: {}\n",
        file(&directory, "ca.pem", &authority.pem())
    );
    assert!(ask(&url, &ca).await.is_err());
    let client = issued("client", &authority);
    let cert = file(&directory, "client.pem", &client.cert);
    let key = file(&directory, "client.key", &client.key);
    let apart = format!("{ca}    cert: {cert}\n    key: {key}\n");
    assert_eq!(ask(&url, &apart).await.unwrap().status, 200);
    let both = file(
        &directory,
        "both.pem",
        &format!("{}{}", client.cert, client.key),
    );
    assert_eq!(
        ask(&url, &format!("{ca}    cert: {both}\n"))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_with_a_bad_certificate() {
    let plain = crate::fake::Fake::new(|_, _| None)
        .listen()
        .await
        .replace("http://", "https://");
    let (message, hint) = not_sent(ask(&plain, "").await);
    assert!(message.contains("does not speak TLS"), "{message}");
    assert!(hint.contains("http://"), "{hint}");
}

#[test]
fn files_that_are_no_certificates_are_refused_by_name() {
    let directory = TempDir::new().unwrap();
    let junk = file(&directory, "junk.pem", "junk");
    let good = file(
        &directory,
        "good.pem",
        &self_signed(&params("x", true)).cert,
    );
    for (more, words) in [
        (
            format!("    cacert: {junk}\n"),
            "junk.pem holds no PEM certificate",
        ),
        (
            "    cacert: /nonesuch/ca.pem\n".to_owned(),
            "/nonesuch/ca.pem cannot be read",
        ),
        (format!("    cert: {good}\n"), "no private key in"),
        (
            format!("    key: {good}\n"),
            "there is a `key` but no `cert`",
        ),
    ] {
        let error =
            Cloud::new(profile("https://x.example", &more), Options::default()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(Path::new(&good).exists());
}
