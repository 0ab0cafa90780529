//! How servers are verified: the system's roots, `cacert`, a pinned self-signed certificate, or not at all.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::profile::{Pem, Tls};

/// The TLS side of a client. The error is a text that names the file.
pub(super) fn client_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new(tls, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity(tls)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("`cert` and `key` do not go together: {error}"))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(tls: &Tls) -> Result<Option<Identity>, String> {
    let Some(cert) = &tls.cert else {
        return match &tls.key {
            Some(_) => Err("there is a `key` but no `cert`".to_owned()),
            None => Ok(None),
        };
    };
    let chain = certificates(&Pem::File(cert.clone()), "cert")?;
    let file = tls.key.as_ref().unwrap_or(cert);
    let key = PrivateKeyDer::from_pem_file(file)
        .map_err(|error| format!("no private key in {}: {error}", file.display()))?;
    Ok(Some((chain, key)))
}

fn certificates(pem: &Pem, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let (text, place) = match pem {
        Pem::Text(text) => (text.clone().into_bytes(), format!("the given `{key}`")),
        Pem::File(path) => {
            let text = std::fs::read(path)
                .map_err(|error| format!("`{key}` {} cannot be read: {error}", path.display()))?;
            (text, format!("`{key}` {}", path.display()))
        }
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{place} holds no PEM certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{place} is no valid PEM: {error}")),
    }
}

/// webpki's rules, and beside them the one case that OpenSSL accepts and webpki does not: a server
/// that shows the very certificate that the user trusts, although it is marked as a CA's.
struct Verifier {
    provider: Arc<CryptoProvider>,
    rule: Rule,
}

enum Rule {
    Anybody,
    Nobody,
    Trusted {
        webpki: Arc<WebPkiServerVerifier>,
        pinned: Vec<CertificateDer<'static>>,
    },
}

impl Verifier {
    fn new(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        if tls.insecure {
            return Ok(Self {
                provider,
                rule: Rule::Anybody,
            });
        }
        let mut roots = RootCertStore::empty();
        // Some of a system's certificates may be unreadable to us; the others still count.
        let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut pinned = Vec::new();
        if let Some(ca) = &tls.ca {
            pinned = certificates(ca, "cacert")?;
            for certificate in &pinned {
                roots
                    .add(certificate.clone())
                    .map_err(|error| format!("`cacert` holds an unusable certificate: {error}"))?;
            }
        }
        if roots.is_empty() {
            return Ok(Self {
                provider,
                rule: Rule::Nobody,
            });
        }
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?;
        Ok(Self {
            provider,
            rule: Rule::Trusted { webpki, pinned },
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.rule {
            Rule::Anybody => "Verifier(anybody)",
            Rule::Nobody => "Verifier(nobody)",
            Rule::Trusted { .. } => "Verifier(trusted)",
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (webpki, pinned) = match &self.rule {
            Rule::Anybody => return Ok(ServerCertVerified::assertion()),
            Rule::Nobody => return Err(CertificateError::UnknownIssuer.into()),
            Rule::Trusted { webpki, pinned } => (webpki, pinned),
        };
        let verdict =
            webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // webpki checks the dates before it looks at whether this is a CA's certificate.
        let is_ca = |error: &rustls::Error| match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
                format!("{other:?}").contains("CaUsedAsEndEntity")
            }
            _ => false,
        };
        match verdict {
            Err(error) if is_ca(&error) && pinned.iter().any(|pin| pin == end_entity) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What a TLS failure means to a person, and what can be done.
pub(super) fn explain(error: &rustls::Error) -> (String, Option<&'static str>) {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(reason) => explain_certificate(reason),
        Error::InvalidMessage(_) => (
            "it does not speak TLS".to_owned(),
            Some("is the address http:// rather than https://?"),
        ),
        Error::AlertReceived(alert) => (
            format!("it ended the TLS handshake ({alert:?})"),
            Some("if it asks for a client certificate, set `cert` and `key`"),
        ),
        other => (format!("TLS failed: {other}"), None),
    }
}

fn explain_certificate(reason: &CertificateError) -> (String, Option<&'static str>) {
    match reason {
        CertificateError::UnknownIssuer => (
            "its certificate was not issued by an authority that is trusted here".to_owned(),
            Some("set `cacert` to the authority's certificate (PEM)"),
        ),
        CertificateError::NotValidForName => (
            "its certificate is for another host name".to_owned(),
            Some("use the name that the certificate is for"),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => (
            format!(
                "its certificate is for another host name: {}",
                presented.join(", ")
            ),
            Some("use the name that the certificate is for"),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "its certificate has expired".to_owned(),
            Some("check this machine's clock too"),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "its certificate is not valid yet".to_owned(),
            Some("check this machine's clock"),
        ),
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "it shows an authority's certificate as its own".to_owned(),
            Some("if that is its self-signed certificate, set `cacert` to exactly that one"),
        ),
        other => (format!("its certificate is refused: {other}"), None),
    }
}
