//! One cloud's resolved settings: openstacksdk's files, their merge order, and what the values mean.
//!
//! Lowest to highest: the vendor profile of clouds-public.yaml, clouds.yaml, secure.yaml, the chosen
//! region's `values`. The `OS_*` variables are never mixed into a named cloud: they are a cloud of
//! their own, `envvars`, for when none is named.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::credentials::Auth;
use super::environment::Environment;
use super::resolve::resolve;
use super::settings::{self, Clouds, Entry, Layer, Name, Origin, Setting};
use crate::kinds::call::Service;

/// One cloud's settings. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The cloud's name in clouds.yaml, or `envvars`.
    pub name: String,
    /// Keystone's address; absent only when no authentication is done.
    pub auth_url: Option<Url>,
    /// The region whose endpoints are used; `None` when the cloud has only one.
    pub region: Option<String>,
    /// Endpoint interfaces in order of preference.
    pub interfaces: Vec<String>,
    /// Deadline of each request.
    pub timeout: Option<Duration>,
    /// What a person should hear although it is no error.
    pub warnings: Vec<String>,
    pub(super) auth: Auth,
    pub(super) tls: Tls,
    pub(super) proxies: Proxies,
    pub(super) services: BTreeMap<Service, ServiceSettings>,
    pub(super) origins: BTreeMap<String, Origin>,
}

/// How servers are verified and this client shows itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    pub(super) insecure: bool,
    pub(super) ca: Option<Pem>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// PEM in a file, or given as text.
#[derive(Debug, Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Text(String),
}

/// The usual proxy variables.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    pub(super) http: Option<SecretString>,
    pub(super) https: Option<SecretString>,
    pub(super) except: String,
}

/// Settings of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct ServiceSettings {
    pub(super) endpoint: Option<Url>,
    pub(super) name: Option<String>,
    pub(super) service_type: Option<String>,
    pub(super) region: Option<String>,
    pub(super) interfaces: Option<Vec<String>>,
}

/// Why a cloud's settings cannot be used. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file is no YAML of the expected shape.
    #[error("{origin}: {message}")]
    Syntax {
        /// File, line and column.
        origin: Origin,
        /// What is wrong there.
        message: String,
    },
    /// The cloud is in no file.
    #[error("cloud `{name}` is not in {searched}")]
    UnknownCloud {
        /// The name that was asked for.
        name: String,
        /// The file that was read, or where one was looked for.
        searched: String,
        /// The clouds there are.
        known: Vec<String>,
    },
    /// No cloud was named, and the choice is not obvious.
    #[error("no cloud is named, and {searched} has {}", if known.is_empty() { "none" } else { "several" })]
    NoCloud {
        /// The file that was read, or where one was looked for.
        searched: String,
        /// The clouds there are.
        known: Vec<String>,
    },
    /// A value cannot be used.
    #[error("{origin}: {message}")]
    Value {
        /// Where it was written.
        origin: Origin,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A value that is needed is not there.
    #[error("cloud `{cloud}`: {message}")]
    Missing {
        /// The cloud.
        cloud: String,
        /// What is missing.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A certificate or key cannot be used.
    #[error("cloud `{cloud}`: {message}")]
    Tls {
        /// The cloud.
        cloud: String,
        /// What is wrong, with the file.
        message: String,
    },
}

impl ConfigError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } | Self::Tls { .. } => None,
            Self::UnknownCloud { name, known, .. } => Some(match closest(name, known) {
                Some(near) => format!("did you mean `{near}`? {}", list_of_clouds(known)),
                None => list_of_clouds(known),
            }),
            Self::NoCloud { known, .. } if known.is_empty() => Some(
                "write a clouds.yaml, or set OS_AUTH_URL, OS_USERNAME and the other OS_* variables"
                    .to_owned(),
            ),
            Self::NoCloud { known, .. } => Some(format!(
                "name one with --cloud or OS_CLOUD; {}",
                list_of_clouds(known)
            )),
            Self::Value { hint, .. } | Self::Missing { hint, .. } => hint.clone(),
        }
    }
}

fn list_of_clouds(known: &[String]) -> String {
    match known {
        [] => "there is no clouds.yaml with any cloud in it".to_owned(),
        known => format!("the clouds there are: {}", known.join(", ")),
    }
}

/// The known name that was probably meant.
fn closest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let likeness = |other: &&String| (strsim::jaro_winkler(name, other) * 1000.0) as u32;
    known
        .iter()
        .max_by_key(likeness)
        .filter(|other| likeness(other) >= 850)
}

/// The name that openstacksdk gives the cloud of the `OS_*` variables.
const ENVVARS: &str = "envvars";

impl Profile {
    /// Finds and reads a cloud as openstacksdk does; `name` beats `OS_CLOUD`.
    ///
    /// # Errors
    ///
    /// No such cloud, several and none named, a file that is no YAML, or values that make no sense.
    pub fn load(name: Option<&str>, environment: &Environment) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let (searched, clouds) = read(
            environment,
            "OS_CLIENT_CONFIG_FILE",
            "clouds",
            &mut warnings,
        )?;
        let (_, secrets) = read(
            environment,
            "OS_CLIENT_SECURE_FILE",
            "secure",
            &mut warnings,
        )?;
        let variables = environment_entry(environment);
        let named = name.or_else(|| environment.var("OS_CLOUD"));
        let own_name = environment.var("OS_CLOUD_NAME").unwrap_or(ENVVARS);
        let known = || clouds.keys().cloned().collect::<Vec<_>>();
        let (name, mut entry) = match (named, variables) {
            (Some(name), variables) => match (clouds.get(name), variables) {
                (Some(entry), _) => (name.to_owned(), entry.clone()),
                (None, Some(entry)) if name == own_name => (name.to_owned(), entry),
                _ => {
                    let (name, known) = (name.to_owned(), known());
                    return Err(ConfigError::UnknownCloud {
                        name,
                        searched,
                        known,
                    });
                }
            },
            (None, Some(entry)) => (own_name.to_owned(), entry),
            (None, None) => match clouds.iter().collect::<Vec<_>>().as_slice() {
                [(name, entry)] => ((*name).clone(), (*entry).clone()),
                _ => {
                    return Err(ConfigError::NoCloud {
                        searched,
                        known: known(),
                    });
                }
            },
        };
        if let Some(secret) = secrets.get(&name) {
            entry.merge(secret.clone());
        }
        canonical_names(&mut entry);
        if let Some(vendor) = entry.layer.get("profile").cloned() {
            let mut base = vendor_profile(&vendor, environment, &mut warnings)?;
            canonical_names(&mut base);
            base.merge(entry);
            entry = base;
        }
        resolve(name, entry, environment, None, warnings)
    }

    /// The names of the clouds that [`Profile::load`] knows, that of the `OS_*` variables last.
    ///
    /// # Errors
    ///
    /// A file that is no YAML of the expected shape.
    pub fn names(environment: &Environment) -> Result<Vec<String>, ConfigError> {
        let variable = "OS_CLIENT_CONFIG_FILE";
        let (_, clouds) = read(environment, variable, "clouds", &mut Vec::new())?;
        let mut names: Vec<String> = clouds.into_keys().collect();
        if environment_entry(environment).is_some() {
            let own = environment.var("OS_CLOUD_NAME").unwrap_or(ENVVARS);
            names.push(own.to_owned());
        }
        Ok(names)
    }

    /// The same login for another project, by its id or its name.
    ///
    /// # Errors
    ///
    /// Credentials that are bound to a project: application credentials, trusts, no login at all.
    pub fn in_project(mut self, project: &str) -> Result<Self, ConfigError> {
        if self.auth.enter(project) {
            return Ok(self);
        }
        Err(ConfigError::Missing {
            cloud: self.name,
            message: "these credentials are bound to their own project".to_owned(),
            hint: Some("use a password or a token for another project".to_owned()),
        })
    }

    /// Reads a cloud from the text of a clouds.yaml, as a Secret holds it. `cacert` is PEM.
    ///
    /// # Errors
    ///
    /// As [`Profile::load`]; vendor profiles cannot be used here.
    pub fn from_clouds_yaml(
        text: &str,
        cloud: &str,
        cacert: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let name = "clouds.yaml";
        let clouds = settings::parse(&Name::Text(name.to_owned()), text, "clouds")?;
        let Some(mut entry) = clouds.get(cloud).cloned() else {
            let known = clouds.into_keys().collect();
            return Err(ConfigError::UnknownCloud {
                name: cloud.into(),
                searched: name.into(),
                known,
            });
        };
        canonical_names(&mut entry);
        if let Some(vendor) = entry.layer.get("profile") {
            return Err(ConfigError::Value {
                origin: vendor.origin.clone(),
                message: "`profile` cannot be used in a Secret".to_owned(),
                hint: Some("write the profile's values into the cloud itself".to_owned()),
            });
        }
        let pem = cacert.map(|pem| Pem::Text(pem.to_owned()));
        resolve(cloud.to_owned(), entry, environment, pem, Vec::new())
    }

    /// Where each value came from, by its name (`auth.username`, `region_name`).
    #[must_use]
    pub const fn origins(&self) -> &BTreeMap<String, Origin> {
        &self.origins
    }

    pub(super) fn service(&self, service: Service) -> ServiceSettings {
        self.services.get(&service).cloned().unwrap_or_default()
    }
}

/// Reads the first file of a kind that there is; also says where it looked.
fn read(
    environment: &Environment,
    variable: &str,
    stem: &str,
    warnings: &mut Vec<String>,
) -> Result<(String, Clouds), ConfigError> {
    let first = environment.var(variable).map(|path| environment.path(path));
    let key = if stem == "clouds-public" {
        "public-clouds"
    } else {
        "clouds"
    };
    match settings::find(first.as_deref(), &environment.config_dirs(), stem, warnings) {
        Some((path, text)) => {
            let clouds = settings::parse(&Name::File(path.clone()), &text, key)?;
            Ok((path.display().to_string(), clouds))
        }
        None => {
            let directories = environment.config_dirs();
            let directories: Vec<_> = directories
                .iter()
                .map(|dir| dir.display().to_string())
                .collect();
            Ok((
                format!("any {stem}.yaml (looked in {})", directories.join(", ")),
                Clouds::new(),
            ))
        }
    }
}

fn vendor_profile(
    vendor: &Setting,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Entry, ConfigError> {
    let name = vendor
        .values
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    let refuse = |message: String, hint: Option<String>| ConfigError::Value {
        origin: vendor.origin.clone(),
        message,
        hint,
    };
    let (searched, public) = read(environment, "", "clouds-public", warnings)?;
    let Some(entry) = public.get(name).cloned() else {
        let hint = "vendor profiles are read from clouds-public.yaml only; none is built in";
        return Err(refuse(
            format!("profile `{name}` is not in {searched}"),
            Some(hint.to_owned()),
        ));
    };
    let text = |key: &str| {
        entry
            .layer
            .get(key)
            .and_then(|setting| setting.values.first())
    };
    let message = text("message").cloned().unwrap_or_default();
    match text("status").map(String::as_str) {
        Some("deprecated") => warnings.push(format!("profile `{name}` is deprecated: {message}")),
        Some("shutdown") => {
            return Err(refuse(
                format!("profile `{name}` is shut down: {message}"),
                None,
            ));
        }
        _ => {}
    }
    Ok(entry)
}

/// The cloud of the `OS_*` variables, unless there are only selectors.
fn environment_entry(environment: &Environment) -> Option<Entry> {
    const SELECTORS: [&str; 5] = [
        "OS_CLOUD",
        "OS_CLOUD_NAME",
        "OS_REGION_NAME",
        "OS_CLIENT_CONFIG_FILE",
        "OS_CLIENT_SECURE_FILE",
    ];
    let mut layer = Layer::new();
    let mut chosen = false;
    for (variable, value) in &environment.vars {
        let Some(key) = variable.strip_prefix("OS_").filter(|_| !value.is_empty()) else {
            continue;
        };
        let other = ["OS_TEST", "OS_STD", "OS_LOG"]
            .iter()
            .any(|other| variable.starts_with(other));
        if other {
            continue;
        }
        chosen |= !SELECTORS.contains(&variable.as_str());
        let values = match key {
            "INTERFACE" | "ENDPOINT_TYPE" | "AUTH_METHODS" => value
                .split(',')
                .map(|word| word.trim().to_owned())
                .collect(),
            _ => vec![value.clone()],
        };
        let origin = Origin::Variable(variable.clone());
        let _ = layer.insert(key.to_lowercase(), Setting { values, origin });
    }
    let _ = layer.remove("cloud");
    chosen.then(|| Entry {
        layer,
        regions: Vec::new(),
    })
}

/// Old names become the new ones, in which both are written the new one counts.
fn canonical_names(entry: &mut Entry) {
    const OLD: [(&str, &str); 9] = [
        ("tenant_id", "project_id"),
        ("tenant_name", "project_name"),
        ("user_name", "username"),
        ("auth_token", "token"),
        ("endpoint_type", "interface"),
        ("auth_plugin", "auth_type"),
        ("cloud", "profile"),
        ("timeout", "api_timeout"),
        ("default_domain", "default_domain_id"),
    ];
    let layers = entry.regions.iter_mut().map(|(_, layer)| layer);
    for layer in std::iter::once(&mut entry.layer).chain(layers) {
        for (old, new) in OLD {
            for prefix in ["", "auth."] {
                if let Some(setting) = layer.remove(&format!("{prefix}{old}")) {
                    let _ = layer.entry(format!("{prefix}{new}")).or_insert(setting);
                }
            }
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
