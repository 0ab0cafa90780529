//! The text of a web.yml, as Prometheus' exporter-toolkit has it: TLS and basic auth of the endpoint.
//!
//! What is there and not known is an error, never passed over: a guard that was misspelt is none.
//! What is done with it is in [`super::door`].

#![expect(clippy::disallowed_methods, reason = "the settings are in a file")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use bcrypt::HashParts;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::cloud::settings::plain_reason;

/// What a web.yml says.
#[derive(Debug, Clone, Default)]
pub(super) struct WebConfig {
    pub(super) tls: Option<TlsFiles>,
    /// Names, and the bcrypt hashes of their passwords.
    pub(super) users: BTreeMap<String, String>,
}

/// The TLS side of it. Its files are not read yet.
#[derive(Debug, Clone)]
pub(super) struct TlsFiles {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) clients: Clients,
    pub(super) only_13: bool,
}

/// Which certificates clients have to show.
#[derive(Debug, Clone)]
pub(super) enum Clients {
    /// None.
    Any,
    /// One of this authority, if one at all.
    MayShow(PathBuf),
    /// One of this authority.
    MustShow(PathBuf),
}

/// A web.yml that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", path.display(), place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default())]
pub struct BadWebConfig {
    /// The file.
    pub path: PathBuf,
    /// Line and column in it.
    pub place: Option<(u64, u64)>,
    /// What is wrong there.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

const KEYS: &str = "known are tls_server_config (cert_file, key_file, client_auth_type, client_ca_file, min_version) \
     and basic_auth_users";
const HASH: &str = "make one with `htpasswd -nBC 10 NAME`, and write what is after the colon";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tls_server_config: Option<Tls>,
    basic_auth_users: Option<BTreeMap<String, Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert_file: Option<Spanned<String>>,
    key_file: Option<Spanned<String>>,
    client_auth_type: Option<Spanned<String>>,
    client_ca_file: Option<Spanned<String>>,
    min_version: Option<Spanned<String>>,
}

impl WebConfig {
    pub(super) fn read(path: &Path) -> Result<Self, BadWebConfig> {
        let text = std::fs::read_to_string(path).map_err(|error| BadWebConfig {
            path: path.to_owned(),
            place: None,
            message: format!("cannot be read: {error}"),
            hint: "correct --web-config, or leave it out",
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, BadWebConfig> {
        // A snippet would show the lines around the mistake, and so hashes.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: Option<File> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| BadWebConfig {
                path: path.to_owned(),
                place: error.location().map(|it| (it.line(), it.column())),
                message: plain_reason(&error),
                hint: KEYS,
            })?;
        let file = file.unwrap_or_default();
        let mut users = BTreeMap::new();
        for (name, hash) in file.basic_auth_users.unwrap_or_default() {
            if let Err(error) = HashParts::from_str(&hash.value) {
                let message = format!("basic_auth_users: `{name}` has no bcrypt hash: {error}");
                return Err(bad(path, hash.referenced, message, HASH));
            }
            users.insert(name, hash.value);
        }
        let tls = file.tls_server_config.map(|tls| tls.files(path));
        Ok(Self {
            tls: tls.transpose()?,
            users,
        })
    }
}

impl Tls {
    fn files(self, path: &Path) -> Result<TlsFiles, BadWebConfig> {
        let base = path.parent().unwrap_or(Path::new(""));
        let missing = |key: &str| BadWebConfig {
            path: path.to_owned(),
            place: None,
            message: format!("tls_server_config: {key} is missing"),
            hint: "a certificate and its key, both in PEM; paths are relative to this file",
        };
        let file = |given: Option<Spanned<String>>, key| {
            let given = given.filter(|it| !it.value.is_empty());
            Ok(base.join(given.ok_or_else(|| missing(key))?.value))
        };
        let only_13 = match &self.min_version {
            None => false,
            Some(version) => match version.value.as_str() {
                "TLS12" => false,
                "TLS13" => true,
                other => {
                    let message = format!("min_version is `{other}`");
                    let hint = "TLS12 or TLS13; older ones are not spoken";
                    return Err(bad(path, version.referenced, message, hint));
                }
            },
        };
        let authority = self.client_ca_file.filter(|it| !it.value.is_empty());
        let kind = self.client_auth_type.as_ref();
        let clients = match (kind.map(|it| it.value.as_str()), authority) {
            (None | Some("" | "NoClientCert"), None) => Clients::Any,
            (None | Some("" | "NoClientCert"), Some(file)) => {
                let message =
                    "client_ca_file is given, and client_auth_type asks for no certificate";
                let hint = "client_auth_type: RequireAndVerifyClientCert";
                return Err(bad(path, file.referenced, message.to_owned(), hint));
            }
            (Some("VerifyClientCertIfGiven"), Some(file)) => {
                Clients::MayShow(base.join(file.value))
            }
            (Some("RequireAndVerifyClientCert"), Some(file)) => {
                Clients::MustShow(base.join(file.value))
            }
            (Some("VerifyClientCertIfGiven" | "RequireAndVerifyClientCert"), None) => {
                return Err(missing("client_ca_file"));
            }
            (Some(other), _) => {
                let message = format!("client_auth_type is `{other}`");
                let hint = "NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert; a certificate \
                            that nobody verifies guards nothing";
                let place = kind.map_or(Location::UNKNOWN, |it| it.referenced);
                return Err(bad(path, place, message, hint));
            }
        };
        Ok(TlsFiles {
            cert: file(self.cert_file, "cert_file")?,
            key: file(self.key_file, "key_file")?,
            clients,
            only_13,
        })
    }
}

fn bad(path: &Path, place: Location, message: String, hint: &'static str) -> BadWebConfig {
    BadWebConfig {
        path: path.to_owned(),
        place: Some((place.line(), place.column())),
        message,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WebConfig, BadWebConfig> {
        WebConfig::parse(Path::new("/etc/web.yml"), text)
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_and_key() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let tls = "tls_server_config:\n  cert_file: a.pem\n  key_file: a.key\n";
        for (text, place, words) in [
            (
                "basic_auth_user: {}\n".to_owned(),
                Some(1),
                "basic_auth_user",
            ),
            (format!("{tls}  min_verson: TLS13\n"), Some(4), "min_verson"),
            (
                format!("{tls}  min_version: TLS10\n"),
                Some(4),
                "min_version is `TLS10`",
            ),
            (
                format!("{tls}  client_auth_type: RequireAnyClientCert\n"),
                Some(4),
                "client_auth_type",
            ),
            (
                format!("{tls}  client_ca_file: ca.pem\n"),
                Some(4),
                "client_ca_file",
            ),
            (
                format!("{tls}  client_auth_type: RequireAndVerifyClientCert\n"),
                None,
                "client_ca_file is missing",
            ),
            (
                "tls_server_config: {cert_file: a.pem}\n".to_owned(),
                None,
                "key_file is missing",
            ),
            (
                format!("basic_auth_users:\n  one: {hash}\n  two: secret\n"),
                Some(3),
                "`two` has no bcrypt hash",
            ),
            (
                "tls_server_config: [\n".to_owned(),
                Some(1),
                "expected mapping",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert_eq!(error.place.map(|it| it.0), place, "{text}{error}");
            assert!(error.to_string().starts_with("/etc/web.yml"), "{error}");
            assert!(error.message.contains(words), "{text}{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn files_are_beside_it_and_an_empty_one_guards_nothing() {
        let web = parse(
            "tls_server_config:\n  cert_file: a.pem\n  key_file: /keys/a.key\n  min_version: TLS13\n  \
             client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n",
        );
        let tls = web.unwrap().tls.unwrap();
        assert_eq!(tls.cert, Path::new("/etc/a.pem"));
        assert_eq!(tls.key, Path::new("/keys/a.key"));
        assert!(tls.only_13);
        assert!(matches!(tls.clients, Clients::MayShow(ca) if ca == Path::new("/etc/ca.pem")));
        for text in ["", "# nothing\n", "basic_auth_users: {}\n"] {
            let web = parse(text).unwrap();
            assert!(web.tls.is_none() && web.users.is_empty(), "{text}");
        }
    }
}
