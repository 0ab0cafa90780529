//! From words on the command line to a cloud and a kind, for the commands that ask the cloud
//! themselves.

use crate::cloud::environment::Environment;
use crate::cloud::profile::{ConfigError, Profile};
use crate::cloud::{self, Cloud, Options};
use crate::config::{CloudChoice, SANDBOX};
use crate::kinds::KINDS;
use crate::kinds::call::CallError;
use crate::kinds::erased::AnyKind;
use crate::manifest::did_you_mean;
use crate::sandbox::Running;

use super::failure::Advised;

/// A cloud with a token, and whose it is.
pub(super) async fn open(
    choice: &CloudChoice,
    running: Option<&Running>,
    project: Option<&str>,
) -> anyhow::Result<(Cloud, cloud::Scope)> {
    let profile = profile(choice, running, &Environment::of_process());
    let profile = profile.and_then(|profile| match project {
        Some(project) => profile.in_project(project),
        None => Ok(profile),
    });
    let cloud = profile
        .and_then(|profile| Cloud::new(profile, Options::default()))
        .map_err(|error| advised(&error.to_string(), error.hint()))?;
    let place = cloud.scope().await.map_err(|error| match error {
        CallError::NotSent { message, hint } => advised(&message, hint),
        other => anyhow::Error::new(other),
    })?;
    Ok((cloud, place))
}

/// The settings of the chosen cloud.
pub(super) fn profile(
    choice: &CloudChoice,
    running: Option<&Running>,
    environment: &Environment,
) -> Result<Profile, ConfigError> {
    match (choice, running) {
        (_, Some(running)) => {
            let text = running.clouds_yaml();
            Profile::from_clouds_yaml(&text, SANDBOX, None, environment)
        }
        (CloudChoice::Named(name), None) => Profile::load(Some(name), environment),
        _ => Profile::load(None, environment),
    }
}

/// The kind of a name as a person writes it.
pub(super) fn kind(word: &str) -> anyhow::Result<&'static dyn AnyKind> {
    let name = kind_name(word, &[])?;
    let kind = KINDS.iter().copied().find(|kind| kind.name() == name);
    kind.ok_or_else(|| anyhow::anyhow!("there is no kind `{word}`"))
}

/// The name of a kind, or one of `others`, from a word in any case, singular or plural.
pub(super) fn kind_name(word: &str, others: &[&'static str]) -> anyhow::Result<&'static str> {
    let kinds = KINDS.iter().map(|kind| kind.name());
    let names: Vec<&'static str> = kinds.chain(others.iter().copied()).collect();
    let wanted = word.to_lowercase();
    let means = |name: &&&'static str| {
        let name = name.to_lowercase();
        let plural = match name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{name}s"),
        };
        wanted == name || wanted == plural || wanted == format!("{name}s")
    };
    if let Some(name) = names.iter().find(means) {
        return Ok(name);
    }
    let hint = match did_you_mean(word, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the kinds are {}", names.join(", ")),
    };
    Err(Advised::error(format!("there is no kind `{word}`"), hint))
}

fn advised(message: &str, hint: Option<String>) -> anyhow::Error {
    match hint {
        Some(hint) => Advised::error(message, hint),
        None => anyhow::anyhow!("{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_in_any_case_and_in_the_plural() {
        for (word, expected) in [
            ("server", "Server"),
            ("SERVERS", "Server"),
            ("securitygroups", "SecurityGroup"),
            ("keypairs", "KeyPair"),
            ("secret", "Secret"),
        ] {
            assert_eq!(kind_name(word, &["Secret"]).unwrap(), expected);
        }
        let error = super::super::failure::words(&kind("Sever").unwrap_err());
        assert!(error.contains("hint: did you mean `Server`?"), "{error}");
        let error = super::super::failure::words(&kind("banana").unwrap_err());
        assert!(error.contains("hint: the kinds are Domain"), "{error}");
    }
}
