//! What the process was started with, as far as a cloud's settings depend on it.
//!
//! Taken once, so that everything after it is a function of its arguments; tests make their own.
//! Not for the daemon's own settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Environment variables and the directories in which settings are looked for.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables; those that are not UTF-8 are left out.
    pub vars: BTreeMap<String, String>,
    /// The working directory: searched first, and the base of relative paths.
    pub cwd: PathBuf,
    /// The home directory, for `~` and `~/.config/openstack`.
    pub home: Option<PathBuf>,
    /// The directory of the machine's settings, searched last: `/etc/openstack`.
    pub site: PathBuf,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            home: vars
                .get("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from),
            site: PathBuf::from("/etc/openstack"),
            vars,
        }
    }

    /// A variable, unless it is unset or empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The directories in which openstacksdk looks for its files, in its order; before them what
    /// systemd hands to this service alone (`LoadCredential=`).
    #[must_use]
    pub fn config_dirs(&self) -> Vec<PathBuf> {
        let user = match self.var("XDG_CONFIG_HOME") {
            Some(dir) => Some(PathBuf::from(dir)),
            None => self.home.as_ref().map(|home| home.join(".config")),
        };
        let handed_over = self.var("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let mut dirs: Vec<PathBuf> = handed_over.into_iter().collect();
        dirs.push(self.cwd.clone());
        dirs.extend(user.map(|dir| dir.join("openstack")));
        dirs.push(self.site.clone());
        dirs
    }

    /// A path as a person writes it: `~` is the home directory, the rest is relative to `cwd`.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix('~'), &self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                home.join(rest.trim_start_matches('/'))
            }
            _ => self.cwd.join(Path::new(text)),
        }
    }
}

impl fmt::Debug for Environment {
    // Values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("vars", &self.vars.keys().collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .field("home", &self.home)
            .field("site", &self.site)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_hands_over_comes_before_what_lies_around() {
        let mut environment = Environment {
            cwd: PathBuf::from("/here"),
            site: PathBuf::from("/etc/openstack"),
            ..Environment::default()
        };
        let usual = ["/here", "/etc/openstack"].map(PathBuf::from);
        assert_eq!(environment.config_dirs(), usual);
        let given = "/run/credentials/stackward.service";
        let name = "CREDENTIALS_DIRECTORY".to_owned();
        environment.vars.insert(name, given.to_owned());
        assert_eq!(environment.config_dirs()[0], PathBuf::from(given));
        assert_eq!(environment.config_dirs()[1..], usual);
    }
}
