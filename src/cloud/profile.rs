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

use super::credentials::{self, Auth};
use super::environment::Environment;
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
    origins: BTreeMap<String, Origin>,
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

/// The known name that shares the most with what was typed, if it shares enough.
fn closest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let shared = |other: &str| {
        let other = other.to_lowercase();
        let pairs: Vec<_> = other.as_bytes().windows(2).collect();
        let name = name.to_lowercase();
        let common = name
            .as_bytes()
            .windows(2)
            .filter(|pair| pairs.contains(pair))
            .count();
        2 * common * 100 / (pairs.len() + name.len().saturating_sub(1)).max(1)
    };
    known
        .iter()
        .max_by_key(|other| shared(other))
        .filter(|other| shared(other) >= 50)
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

/// A cloud's merged settings while they are being understood.
pub(super) struct Fields {
    pub(super) cloud: String,
    layer: Layer,
}

impl Fields {
    /// A setting at the cloud's own level, or inside `auth:`.
    pub(super) fn setting(&self, key: &str) -> Option<&Setting> {
        let auth = || self.layer.get(&format!("auth.{key}"));
        self.layer
            .get(key)
            .or_else(auth)
            .filter(|setting| !setting.values.is_empty())
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.setting(key)?
            .values
            .first()
            .filter(|text| !text.is_empty())
            .cloned()
    }

    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }

    /// The error for a setting whose value makes no sense.
    pub(super) fn refuse(&self, key: &str, message: String, hint: Option<String>) -> ConfigError {
        match self.setting(key) {
            Some(setting) => ConfigError::Value {
                origin: setting.origin.clone(),
                message,
                hint,
            },
            None => self.missing(message, hint),
        }
    }

    pub(super) fn missing(&self, message: String, hint: Option<String>) -> ConfigError {
        ConfigError::Missing {
            cloud: self.cloud.clone(),
            message,
            hint,
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(self.refuse(key, format!("`{key}` is neither true nor false"), None)),
        }
    }

    fn url(&self, key: &str) -> Result<Option<Url>, ConfigError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(url)),
            _ => {
                let hint = Some("write it as http://HOST:PORT/PATH or https://...".to_owned());
                Err(self.refuse(key, format!("`{key}` is no http(s) address"), hint))
            }
        }
    }

    fn words(&self, key: &str) -> Option<Vec<String>> {
        let words = self.setting(key)?.values.iter();
        Some(
            words
                .map(|word| word.strip_suffix("URL").unwrap_or(word).to_owned())
                .collect(),
        )
    }
}

fn resolve(
    cloud: String,
    entry: Entry,
    environment: &Environment,
    pem: Option<Pem>,
    mut warnings: Vec<String>,
) -> Result<Profile, ConfigError> {
    let Entry { layer, regions } = entry;
    let mut fields = Fields { cloud, layer };
    choose_region(&mut fields, regions)?;
    expand(&mut fields.layer);

    let ca = pem.or_else(|| {
        fields
            .text("cacert")
            .map(|text| match text.contains("-----BEGIN") {
                true => Pem::Text(text),
                false => Pem::File(environment.path(&text)),
            })
    });
    let path = |key: &str| fields.text(key).map(|text| environment.path(&text));
    let insecure = fields.flag("insecure")? == Some(true) || fields.flag("verify")? == Some(false);
    if insecure {
        warnings.push(format!(
            "cloud `{}` is used without verification of its certificates: anybody on the way can read the credentials",
            fields.cloud
        ));
    }
    let timeout = match fields.text("api_timeout").map(|text| text.parse::<f64>()) {
        None => None,
        Some(Ok(0.0)) => None,
        Some(Ok(seconds)) if seconds > 0.0 && seconds < 86_400.0 => {
            Some(Duration::from_secs_f64(seconds))
        }
        Some(_) => {
            let message = "`api_timeout` is no number of seconds".to_owned();
            return Err(fields.refuse("api_timeout", message, None));
        }
    };
    let auth = credentials::understand(&fields)?;
    let auth_url = fields.url("auth_url")?;
    if auth_url.is_none() && !matches!(auth, Auth::None { .. }) {
        let hint = Some("set `auth_url` to Keystone's address".to_owned());
        return Err(fields.missing("there is no `auth_url`".to_owned(), hint));
    }
    let mut services = BTreeMap::new();
    for service in Service::ALL {
        let _ = services.insert(service, service_settings(&fields, service)?);
    }
    Ok(Profile {
        auth_url,
        region: fields.text("region_name"),
        interfaces: fields
            .words("interface")
            .unwrap_or_else(|| vec!["public".to_owned()]),
        timeout,
        warnings,
        auth,
        tls: Tls {
            insecure,
            ca,
            cert: path("cert"),
            key: path("key"),
        },
        proxies: proxies(environment),
        services,
        origins: fields
            .layer
            .into_iter()
            .map(|(key, setting)| (key, setting.origin))
            .collect(),
        name: fields.cloud,
    })
}

fn choose_region(fields: &mut Fields, regions: Vec<(String, Layer)>) -> Result<(), ConfigError> {
    if regions.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = regions.iter().map(|(name, _)| name.clone()).collect();
    let wanted = fields.text("region_name");
    let chosen = match &wanted {
        None => regions.into_iter().next(),
        Some(wanted) => regions.into_iter().find(|(name, _)| name == wanted),
    };
    let Some((name, values)) = chosen else {
        let message = format!(
            "region `{}` is not one of `regions`",
            wanted.unwrap_or_default()
        );
        let hint = Some(format!("the regions there are: {}", names.join(", ")));
        return Err(fields.refuse("region_name", message, hint));
    };
    let origin = values.values().next().map(|setting| setting.origin.clone());
    let origin = origin.unwrap_or_else(|| Origin::Text("regions".to_owned(), 1, 1));
    fields.layer.extend(values);
    let region = Setting {
        values: vec![name],
        origin,
    };
    let _ = fields
        .layer
        .entry("region_name".to_owned())
        .or_insert(region);
    Ok(())
}

/// Replaces `{region_name}` and the like by the cloud's own values, except in secrets.
fn expand(layer: &mut Layer) {
    let plain: Vec<(String, String)> = layer
        .iter()
        .filter(|(key, setting)| setting.values.len() == 1 && !is_secret(key))
        .map(|(key, setting)| (format!("{{{key}}}"), setting.values[0].clone()))
        .collect();
    for (_, setting) in layer.iter_mut().filter(|(key, _)| !is_secret(key)) {
        for value in setting
            .values
            .iter_mut()
            .filter(|value| value.contains('{'))
        {
            for (pattern, replacement) in &plain {
                *value = value.replace(pattern, replacement);
            }
        }
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.strip_prefix("auth.").unwrap_or(key);
    matches!(
        key,
        "password" | "passcode" | "token" | "application_credential_secret"
    )
}

fn service_settings(fields: &Fields, service: Service) -> Result<ServiceSettings, ConfigError> {
    let mut found = ServiceSettings::default();
    for alias in super::catalog::aliases(service) {
        let prefix = alias.replace('-', "_");
        let text = |suffix: &str| fields.text(&format!("{prefix}_{suffix}"));
        let endpoint = match fields.url(&format!("{prefix}_endpoint_override"))? {
            Some(url) => Some(url),
            None => fields.url(&format!("{prefix}_endpoint"))?,
        };
        found.endpoint = found.endpoint.or(endpoint);
        found.name = found.name.or_else(|| text("service_name"));
        found.service_type = found.service_type.or_else(|| text("service_type"));
        found.region = found.region.or_else(|| text("region_name"));
        let interfaces = fields.words(&format!("{prefix}_interface"));
        found.interfaces = found.interfaces.or(interfaces);
    }
    Ok(found)
}

fn proxies(environment: &Environment) -> Proxies {
    let either = |names: [&str; 2]| names.iter().find_map(|name| environment.var(name));
    let all = either(["all_proxy", "ALL_PROXY"]);
    let secret = |text: Option<&str>| text.map(|text| SecretString::from(text.to_owned()));
    Proxies {
        // Upper case HTTP_PROXY is left out as curl does: in a CGI the client sets it.
        http: secret(environment.var("http_proxy").or(all)),
        https: secret(either(["https_proxy", "HTTPS_PROXY"]).or(all)),
        except: either(["no_proxy", "NO_PROXY"])
            .unwrap_or_default()
            .to_owned(),
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
