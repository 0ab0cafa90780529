//! TLS of the endpoint: certificates that follow their files, and a stream that shakes hands when it is
//! first read, so that a slow client holds nobody up.

#![expect(clippy::disallowed_methods, reason = "certificates are files")]

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::door::Door;
use super::serve::Accept;
use super::web::{Clients, TlsFiles};

/// What the endpoint shows and asks for, as its files were when they were last read.
pub(super) struct Tls {
    files: TlsFiles,
    config: Arc<ServerConfig>,
    seen: Vec<Option<Stamp>>,
}

/// By what another content of a file is noticed.
type Stamp = (u64, u64, i64, i64, u64);

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, String> {
        // Before they are read: what changes in between is noticed.
        let seen = stamps(&files);
        let config = Arc::new(server_config(&files)?);
        Ok(Self {
            files,
            config,
            seen,
        })
    }

    /// Must clients show a certificate?
    pub(super) fn demands_certificates(&self) -> bool {
        matches!(self.files.clients, Clients::MustShow(_))
    }

    /// For one connection. Files that changed are read again; what cannot be used changes nothing.
    pub(super) fn acceptor(&mut self) -> TlsAcceptor {
        let now = stamps(&self.files);
        if now != self.seen {
            self.seen = now;
            match server_config(&self.files) {
                Ok(config) => {
                    self.config = Arc::new(config);
                    tracing::info!("certificates were read again");
                }
                Err(error) => tracing::error!(error, "the certificates stay as they were"),
            }
        }
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn stamps(files: &TlsFiles) -> Vec<Option<Stamp>> {
    let authority = match &files.clients {
        Clients::Any => None,
        Clients::MayShow(file) | Clients::MustShow(file) => Some(file),
    };
    let all = [&files.cert, &files.key].into_iter().chain(authority);
    all.map(|path: &PathBuf| {
        let it = std::fs::metadata(path).ok()?;
        Some((it.dev(), it.ino(), it.mtime(), it.mtime_nsec(), it.size()))
    })
    .collect()
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = if files.only_13 {
        &[&rustls::version::TLS13][..]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let verifier = |file: &Path| {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file)? {
            let added = roots.add(certificate);
            added.map_err(|error| format!("client_ca_file {}: {error}", file.display()))?;
        }
        Ok::<_, String>(WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        ))
    };
    let builder = match &files.clients {
        Clients::Any => builder.with_no_client_auth(),
        Clients::MayShow(file) => {
            let built = verifier(file)?.allow_unauthenticated().build();
            builder.with_client_cert_verifier(built.map_err(|error| error.to_string())?)
        }
        Clients::MustShow(file) => {
            let built = verifier(file)?.build();
            builder.with_client_cert_verifier(built.map_err(|error| error.to_string())?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("key_file {}: {error}", files.key.display()))?;
    let mut config = builder
        .with_single_cert(certificates(&files.cert)?, key)
        .map_err(|error| format!("cert_file and key_file do not go together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let text = std::fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{shown} holds no PEM certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// A port behind a door.
pub(super) struct Behind {
    pub(super) listener: TcpListener,
    pub(super) door: Door,
}

impl Accept for Behind {
    type Stream = Stream;

    async fn accept(&self) -> io::Result<Stream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(match self.door.acceptor() {
            None => Stream::Plain(stream),
            Some(acceptor) => Stream::Greeting(Box::new(acceptor.accept(stream))),
        })
    }
}

/// A connection.
pub(super) enum Stream {
    Plain(TcpStream),
    /// Hands are being shaken.
    Greeting(Box<tokio_rustls::Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Over,
}

/// Goes on with the handshake, then does the same to whichever stream there is.
macro_rules! forward {
    ($self:ident, $cx:ident, $stream:ident => $call:expr) => {{
        let this = $self.get_mut();
        if let Self::Greeting(greeting) = this {
            match ready!(Pin::new(&mut **greeting).poll($cx)) {
                Ok(done) => *this = Self::Tls(Box::new(done)),
                Err(error) => {
                    *this = Self::Over;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match this {
            Self::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Self::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
            Self::Greeting(_) | Self::Over => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }};
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, cx, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, cx, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, cx, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, cx, stream => stream.poll_shutdown(cx))
    }
}
