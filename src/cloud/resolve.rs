//! What the merged settings of a cloud mean: types, defaults, regions, `{region_name}` in texts.
//!
//! Where they come from is in `profile`; who logs in is in `credentials`.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::credentials::{self, Auth};
use super::environment::Environment;
use super::profile::{ConfigError, Pem, Profile, Proxies, ServiceSettings, Tls};
use super::settings::{Entry, Layer, Origin, Setting};
use crate::kinds::call::Service;

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

/// Makes a profile of a cloud's merged settings; `pem` is a `cacert` that came beside them.
pub(super) fn resolve(
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
