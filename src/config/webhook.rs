//! The webhook that is told what happens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;
use serde::Deserialize;

use super::BadConfig;

/// Notices in one minute, where nothing else is said.
const PER_MINUTE: usize = 60;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub address: Address,
    /// What it is sent.
    pub form: Form,
    /// The file with its bearer token.
    pub token_file: Option<PathBuf>,
    /// Notices in one minute at most.
    pub per_minute: usize,
}

impl Webhook {
    /// What the flags say, if there is an address among them.
    pub(super) fn of(
        address: Option<Address>,
        form: Option<Form>,
        token_file: Option<PathBuf>,
        per_minute: Option<usize>,
        wrong: &mut Vec<BadConfig>,
    ) -> Option<Self> {
        let Some(address) = address else {
            let given = [
                ("--webhook-format", form.is_some()),
                ("--webhook-token-file", token_file.is_some()),
                ("--webhook-rate", per_minute.is_some()),
            ];
            for (flag, _) in given.iter().filter(|(_, given)| *given) {
                let hint = "give --webhook-url too, or leave it out";
                wrong.push(BadConfig::new(format!("{flag} without an address"), hint));
            }
            return None;
        };
        let per_minute = per_minute.unwrap_or(PER_MINUTE);
        if !(1..=6000).contains(&per_minute) {
            let message = format!("--webhook-rate is {per_minute}");
            wrong.push(BadConfig::new(
                message,
                "it may be from 1 to 6000 in a minute",
            ));
        }
        Some(Self {
            address,
            form: form.unwrap_or_default(),
            token_file,
            per_minute,
        })
    }
}

/// Where notices go. What stands in its path and query is often a secret, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The whole of it, for the request.
    #[must_use]
    pub fn url(&self) -> Url {
        self.0.clone()
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected an address such as https://hooks.example.com/stackward";
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Self(url)),
            _ => Err(expected.to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// What a notice looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// An object with a field `text`, which chat services show as it is
    #[default]
    Json,
    /// The same as the data of a CloudEvent 1.0, in structured mode
    CloudEvents,
}
