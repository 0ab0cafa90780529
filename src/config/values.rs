//! What single settings may be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::engine::guard::{Percent, Prune};
use crate::engine::scope::Scope;
use crate::manifest::parse_duration;

use super::SANDBOX;
use super::webhook::Address;

/// The default cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudChoice {
    /// None was named: the only one of clouds.yaml, or the `OS_*` variables.
    Default,
    /// A cloud of clouds.yaml.
    Named(String),
    /// A simulated one inside of this process.
    Sandbox,
}

impl CloudChoice {
    /// The choice for a value of `--cloud`.
    #[must_use]
    pub fn new(name: Option<&str>) -> Self {
        match name {
            None | Some("") => Self::Default,
            Some(SANDBOX) => Self::Sandbox,
            Some(name) => Self::Named(name.to_owned()),
        }
    }

    /// The scope of manifests that name no cloud.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Default => Scope::new("default"),
            Self::Named(name) => Scope::new(name.as_str()),
            Self::Sandbox => Scope::new(SANDBOX),
        }
    }
}

/// Where the journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// In this directory.
    Directory(PathBuf),
    /// In memory: it ends with the process, as the embedded sandbox does.
    Memory,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
    /// Entries of the journal, each fact in a field of its own.
    Journald,
}

/// A value of `--listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    None,
    /// At this address.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let address = text.parse();
        address.map(Self::At).map_err(|_| {
            "expected ADDRESS:PORT such as 127.0.0.1:9797 or [::1]:0, or none".to_owned()
        })
    }
}

/// A duration as Kubernetes writes it: `30s`, `10m`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text)
            .map(Self)
            .ok_or_else(|| "expected a duration such as 30s, 10m or 1h30m".to_owned())
    }
}

macro_rules! deserialize_from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
deserialize_from_text!(Listen, Span, Prune, Percent, Address);
