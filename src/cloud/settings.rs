//! The text of clouds.yaml, secure.yaml and clouds-public.yaml as flat, located settings.
//!
//! Values stay the text that was written (`0755`, `1e5` and `yes` are no numbers or booleans here), and
//! each knows its file, line and column. What they mean is in `profile`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::profile::ConfigError;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file, with line and column from 1.
    File(PathBuf, u64, u64),
    /// In an environment variable.
    Variable(String),
    /// In a text that the caller gave, named so.
    Text(String, u64, u64),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line, column) => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Text(name, line, column) => write!(f, "{name}:{line}:{column}"),
        }
    }
}

/// One value, or several where a list is allowed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) values: Vec<String>,
    pub(super) origin: Origin,
}

impl fmt::Debug for Setting {
    // Any of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setting({})", self.origin)
    }
}

/// Settings by name; those inside `auth:` are named `auth.username`.
pub(super) type Layer = BTreeMap<String, Setting>;

/// One entry of `clouds:`.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) layer: Layer,
    /// `regions:`, each with its own values.
    pub(super) regions: Vec<(String, Layer)>,
}

impl Entry {
    /// Lays `over` on top of this one; lists are replaced, maps are merged.
    pub(super) fn merge(&mut self, over: Self) {
        self.layer.extend(over.layer);
        if !over.regions.is_empty() {
            self.regions = over.regions;
        }
    }
}

/// The clouds of one file, in the order of their names.
pub(super) type Clouds = BTreeMap<String, Entry>;

/// Names the file to messages and origins.
#[derive(Debug, Clone)]
pub(super) enum Name {
    File(PathBuf),
    Text(String),
}

impl Name {
    fn at(&self, line: u64, column: u64) -> Origin {
        match self {
            Self::File(path) => Origin::File(path.clone(), line, column),
            Self::Text(name) => Origin::Text(name.clone(), line, column),
        }
    }
}

/// The first of `directories`/`stem`.{yaml,yml,json} that exists and can be read, or `first` when it does.
pub(super) fn find(
    first: Option<&Path>,
    directories: &[PathBuf],
    stem: &str,
    warnings: &mut Vec<String>,
) -> Option<(PathBuf, String)> {
    let searched = directories.iter().flat_map(|directory| {
        ["yaml", "yml", "json"].map(|ending| directory.join(format!("{stem}.{ending}")))
    });
    for path in first.map(Path::to_path_buf).into_iter().chain(searched) {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Some((path, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                warnings.push(format!("{} is passed over: {error}", path.display()));
            }
        }
    }
    None
}

/// Reads the clouds below `key` (`clouds` or `public-clouds`).
pub(super) fn parse(name: &Name, text: &str, key: &str) -> Result<Clouds, ConfigError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        // A snippet would show the lines around the mistake, and so the password.
        with_snippet: false,
    };
    let document: Option<File> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error
                .location()
                .map_or((1, 1), |location| (location.line(), location.column()));
            ConfigError::Syntax {
                origin: name.at(line, column),
                message: plain_reason(&error),
            }
        })?;
    let File { clouds, public } = document.unwrap_or_default();
    let found = if key == "clouds" { clouds } else { public };
    let found = found.unwrap_or_default().into_iter();
    Ok(found
        .map(|(cloud, raw)| (cloud, raw.located(name)))
        .collect())
}

/// A whole file. What else it holds (`cache`, `metrics`, `client`) is for other programs.
#[derive(Default, Deserialize)]
struct File {
    clouds: Option<BTreeMap<String, Raw>>,
    #[serde(rename = "public-clouds", alias = "public_clouds")]
    public: Option<BTreeMap<String, Raw>>,
}

/// The reason without its position, which the origin already gives.
pub(crate) fn plain_reason(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default();
    match (first.strip_prefix("error: "), first.rfind(" at line ")) {
        (Some(rest), _) if rest.starts_with("line ") => rest
            .split_once(": ")
            .map_or(rest, |(_, reason)| reason)
            .to_owned(),
        (_, Some(end)) => first[..end].to_owned(),
        _ => first.to_owned(),
    }
}

/// One cloud as written.
#[derive(Default)]
struct Raw {
    settings: Vec<(String, Located)>,
    regions: Vec<Region>,
}

struct Located {
    values: Vec<String>,
    line: u64,
    column: u64,
}

impl Raw {
    fn located(self, name: &Name) -> Entry {
        Entry {
            layer: layer(self.settings, name),
            regions: self
                .regions
                .into_iter()
                .map(|region| (region.name, layer(region.values, name)))
                .collect(),
        }
    }
}

fn layer(settings: Vec<(String, Located)>, name: &Name) -> Layer {
    let located = settings.into_iter().map(
        |(
            key,
            Located {
                values,
                line,
                column,
            },
        )| {
            (
                key,
                Setting {
                    values,
                    origin: name.at(line, column),
                },
            )
        },
    );
    located.collect()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cloud;
        impl<'de> Visitor<'de> for Cloud {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the settings of a cloud")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut raw = Raw::default();
                while let Some(key) = map.next_key::<String>()? {
                    let key = key.replace('-', "_");
                    match key.as_str() {
                        "auth" => {
                            let auth: Raw = map.next_value()?;
                            raw.settings.extend(
                                auth.settings
                                    .into_iter()
                                    .map(|(name, value)| (format!("auth.{name}"), value)),
                            );
                        }
                        "regions" => {
                            let regions: Option<Vec<Region>> = map.next_value()?;
                            raw.regions = regions.unwrap_or_default();
                        }
                        _ => {
                            let value = next_located(&mut map, &key)?;
                            raw.settings.extend(value.map(|value| (key, value)));
                        }
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_any(Cloud)
    }
}

/// One of `regions:`: a name, or a name with values.
struct Region {
    name: String,
    values: Vec<(String, Located)>,
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneRegion;
        impl<'de> Visitor<'de> for OneRegion {
            type Value = Region;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a region's name, or a map of `name` and `values`")
            }
            fn visit_str<E>(self, name: &str) -> Result<Region, E> {
                Ok(Region {
                    name: name.to_owned(),
                    values: Vec::new(),
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Region, A::Error> {
                let mut region = Region {
                    name: String::new(),
                    values: Vec::new(),
                };
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "name" => region.name = map.next_value()?,
                        "values" => region.values = map.next_value::<Raw>()?.settings,
                        _ => {
                            let _: IgnoredAny = map.next_value()?;
                        }
                    }
                }
                Ok(region)
            }
        }
        deserializer.deserialize_any(OneRegion)
    }
}

/// Text, or a list of texts.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// How a key's value is read.
enum Shape {
    /// A scalar, kept as it was spelled.
    Scalar,
    /// A word or a list of words.
    List,
    /// Not ours: structures for other programs, and keys that nobody knows.
    Other,
}

fn shape(key: &str) -> Shape {
    const SCALARS: &[&str] = &[
        "profile",
        "cloud",
        "auth_type",
        "auth_plugin",
        "region_name",
        "verify",
        "insecure",
        "cacert",
        "cert",
        "key",
        "api_timeout",
        "timeout",
        "identity_api_version",
        "status",
        "message",
        "auth_url",
        "username",
        "user_name",
        "user_id",
        "user_domain_id",
        "user_domain_name",
        "password",
        "passcode",
        "token",
        "auth_token",
        "project_id",
        "project_name",
        "tenant_id",
        "tenant_name",
        "project_domain_id",
        "project_domain_name",
        "domain_id",
        "domain_name",
        "default_domain",
        "default_domain_id",
        "default_domain_name",
        "system_scope",
        "trust_id",
        "application_credential_id",
        "application_credential_name",
        "application_credential_secret",
        "endpoint",
    ];
    const SUFFIXES: &[&str] = &[
        "_endpoint_override",
        "_endpoint",
        "_service_name",
        "_service_type",
        "_region_name",
    ];
    match key {
        "interface" | "endpoint_type" | "auth_methods" => Shape::List,
        _ if key.ends_with("_interface") => Shape::List,
        _ if SCALARS.contains(&key) => Shape::Scalar,
        _ if SUFFIXES.iter().any(|suffix| key.ends_with(suffix)) => Shape::Scalar,
        _ => Shape::Other,
    }
}

fn next_located<'de, A: MapAccess<'de>>(
    map: &mut A,
    key: &str,
) -> Result<Option<Located>, A::Error> {
    match shape(key) {
        Shape::Scalar => {
            let scalar: Spanned<Option<String>> = map.next_value()?;
            Ok(scalar.value.map(|text| Located {
                values: vec![text],
                line: scalar.referenced.line(),
                column: scalar.referenced.column(),
            }))
        }
        Shape::List => {
            let list: Spanned<Option<Texts>> = map.next_value()?;
            Ok(list.value.map(|texts| Located {
                values: texts.0,
                line: list.referenced.line(),
                column: list.referenced.column(),
            }))
        }
        Shape::Other => map.next_value::<IgnoredAny>().map(|_| None),
    }
}
