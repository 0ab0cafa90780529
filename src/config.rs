//! The daemon's settings: flags, environment and an optional file become one value, checked once.
//!
//! A flag beats its environment variable, which beats the file. Nothing else in the program looks
//! at any of the three.

#![expect(clippy::disallowed_methods, reason = "the settings may be in a file")]

mod values;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::engine::Settings;
use crate::engine::guard::{Percent, Prune};
use crate::kinds::marker::Owner;
use crate::manifest::duration_text;

pub use values::{CloudChoice, Listen, LogFormat, Span, State};
pub use webhook::{Address, Form, Webhook};

/// The name of the cloud that is simulated inside of the process.
pub const SANDBOX: &str = "sandbox";

const LISTEN: &str = "127.0.0.1:9797";
const RESCAN: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Settings as they are given: on the command line, or in the file that `--config` names, where
/// they have the same names in camelCase.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Flags {
    /// Directory of manifests; sub-directories are read too
    #[arg(long, short, value_name = "DIR", env = "STACKWARD_MANIFESTS")]
    pub manifests: Option<PathBuf>,
    /// Cloud of clouds.yaml; `sandbox` simulates one inside of this process
    #[arg(long, short, value_name = "NAME", env = "OS_CLOUD")]
    pub cloud: Option<String>,
    /// Where the journal is kept [default: $STATE_DIRECTORY, else ~/.local/state/stackward]
    #[arg(long, value_name = "DIR", env = "STACKWARD_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Directory outside of --manifests that manifests may name files in (repeatable)
    #[arg(long, value_name = "DIR")]
    pub allow_files_from: Vec<PathBuf>,
    /// Owner of the resources, to keep it when the state directory is lost
    #[arg(long, value_name = "UUID", env = "STACKWARD_OWNER")]
    pub owner: Option<Uuid>,
    /// Address of metrics, probes and status, or `none` [default: 127.0.0.1:9797; none with --once]
    #[arg(
        long,
        value_name = "ADDR",
        env = "STACKWARD_LISTEN",
        help_heading = "Daemon"
    )]
    pub listen: Option<Listen>,
    /// TLS and basic auth of that address, as Prometheus' exporter-toolkit has them in its web.yml
    #[arg(
        long,
        value_name = "FILE",
        env = "STACKWARD_WEB_CONFIG",
        help_heading = "Daemon"
    )]
    pub web_config: Option<PathBuf>,
    /// Take what kubectl applies and deletes as files in this directory of --manifests [if DIR is left out: api]
    #[arg(
        long,
        value_name = "DIR",
        env = "STACKWARD_API_WRITE",
        num_args = 0..=1,
        default_missing_value = "api",
        require_equals = true,
        help_heading = "Daemon"
    )]
    pub api_write: Option<PathBuf>,
    /// Who may write at the address: TOKEN,USER in each line; without it only the control socket may
    #[arg(
        long,
        value_name = "FILE",
        env = "STACKWARD_API_TOKEN_FILE",
        help_heading = "Daemon"
    )]
    pub api_token_file: Option<PathBuf>,
    /// Address that is told what happens (http, https); no address, no notices
    #[arg(
        long,
        value_name = "URL",
        env = "STACKWARD_WEBHOOK_URL",
        hide_env_values = true,
        help_heading = "Notifications"
    )]
    pub webhook_url: Option<Address>,
    /// What a notice looks like [default: json]
    #[arg(long, value_name = "FORM", help_heading = "Notifications")]
    pub webhook_format: Option<Form>,
    /// File with the bearer token that is sent along
    #[arg(long, value_name = "FILE", help_heading = "Notifications")]
    pub webhook_token_file: Option<PathBuf>,
    /// Notices in one minute; more of them wait [default: 60]
    #[arg(long, value_name = "N", help_heading = "Notifications")]
    pub webhook_rate: Option<usize>,
    /// How often the cloud is looked at when nothing moves [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Daemon")]
    pub poll_interval: Option<Span>,
    /// How often the directory is read when no change is noticed [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Daemon")]
    pub rescan_interval: Option<Span>,
    /// Requests in flight per cloud and service at most; one that gets slower, or asks for less, is
    /// sent fewer [default: 32]
    #[arg(long, value_name = "N", help_heading = "Daemon")]
    pub max_in_flight: Option<usize>,
    /// How long a manifest must be gone before its resource is deleted [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = "Safety")]
    pub prune_grace: Option<Span>,
    /// The same for kinds that hold data: images, volumes [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "Safety")]
    pub prune_data_grace: Option<Span>,
    /// An empty directory means that everything is to be deleted
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Safety")]
    pub prune_allow_empty: Option<bool>,
    /// Resources without a manifest: Off keeps them, Confirm asks, Auto deletes [default: Auto]
    #[arg(long, value_name = "MODE", help_heading = "Safety")]
    pub prune: Option<Prune>,
    /// Share of the managed objects that may be deleted without asking, 3 always [default: 20%]
    #[arg(long, value_name = "SHARE", help_heading = "Safety")]
    pub prune_max_share: Option<Percent>,
    /// Deletions in one poll interval without asking [default: 25]
    #[arg(long, value_name = "N", help_heading = "Safety")]
    pub prune_per_cycle: Option<usize>,
    /// Deletions in one hour without asking [default: 100]
    #[arg(long, value_name = "N", help_heading = "Safety")]
    pub prune_per_hour: Option<usize>,
    /// Look and report, write nothing
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Safety")]
    pub observe_only: Option<bool>,
    /// How long a create with an unknown outcome is looked for [default: 2m]
    #[arg(long, value_name = "TIME", help_heading = "Safety")]
    pub uncertain_window: Option<Span>,
    /// Time between the two reads that prove a resource gone [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Safety")]
    pub gone_after: Option<Span>,
    /// Form of the log: text, json, or journald with its fields [default: what stderr is]
    #[arg(long, value_name = "FORM", help_heading = "Log")]
    pub log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, or a filter such as `info,stackward::cloud=debug`
    #[arg(
        long,
        value_name = "FILTER",
        env = "STACKWARD_LOG",
        help_heading = "Log"
    )]
    pub log_level: Option<String>,
    /// With --once: give up after this long [default: 30m]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,
}

/// The settings, complete and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of manifests.
    pub manifests: PathBuf,
    /// The default cloud.
    pub cloud: CloudChoice,
    /// Where the journal is.
    pub state: State,
    /// Further directories that manifests may name files in.
    pub allow_files_from: Vec<PathBuf>,
    /// The configured owner.
    pub owner: Option<Uuid>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// How it is guarded.
    pub web_config: Option<PathBuf>,
    /// Where what is written through the API is kept.
    pub api_write: Option<PathBuf>,
    /// Who may write at the address.
    pub api_token_file: Option<PathBuf>,
    /// Who is told what happens.
    pub webhook: Option<Webhook>,
    /// How often the directory is read anyway.
    pub rescan_interval: Duration,
    /// How long `--once` tries.
    pub timeout: Duration,
    /// Form of the log; `None` for what fits the place that it goes to.
    pub log_format: Option<LogFormat>,
    /// What is logged; `None` for what fits the command.
    pub log_level: Option<String>,
    /// The engine's settings. The owner is nobody until the journal is open.
    pub engine: Settings,
}

impl Config {
    /// Is everything the same that takes effect at a start only?
    #[must_use]
    pub fn starts_like(&self, other: &Self) -> bool {
        let Self {
            manifests,
            cloud,
            state,
            allow_files_from,
            owner,
            listen,
            web_config,
            api_write,
            api_token_file,
            webhook,
            rescan_interval,
            timeout,
            log_format,
            log_level,
            engine: _,
        } = self;
        *manifests == other.manifests
            && *cloud == other.cloud
            && *state == other.state
            && *allow_files_from == other.allow_files_from
            && *owner == other.owner
            && *listen == other.listen
            && *web_config == other.web_config
            && *api_write == other.api_write
            && *api_token_file == other.api_token_file
            && *webhook == other.webhook
            && *rescan_interval == other.rescan_interval
            && *timeout == other.timeout
            && *log_format == other.log_format
            && *log_level == other.log_level
    }
}

/// Something that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadConfig {
    /// What.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl BadConfig {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadConfigs(pub Vec<BadConfig>);

impl fmt::Display for BadConfigs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl Flags {
    /// What the file says, with its relative paths below its own directory.
    ///
    /// # Errors
    /// The file cannot be read, or says something that is not understood.
    pub fn from_file(path: &Path) -> Result<Self, BadConfig> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            BadConfig::new(
                format!("cannot read {shown}: {error}"),
                "correct --config, or leave it out",
            )
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::from_text(&text, base).map_err(|error| {
            let hint = "settings have the names of the flags in camelCase: pollInterval: 30s";
            BadConfig::new(format!("{shown}: {error}"), hint)
        })
    }

    fn from_text(text: &str, base: &Path) -> Result<Self, String> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Self::default());
        }
        let mut flags: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let paths = flags.manifests.iter_mut().chain(&mut flags.state_dir);
        let paths = paths.chain(&mut flags.web_config);
        let paths = paths.chain(&mut flags.api_token_file);
        let paths = paths.chain(&mut flags.webhook_token_file);
        for path in paths.chain(&mut flags.allow_files_from) {
            // Without a `.` in the middle.
            *path = base.join(&path).components().collect();
        }
        Ok(flags)
    }

    /// These, and those of the file where these say nothing.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            manifests: self.manifests.or(file.manifests),
            cloud: self.cloud.or(file.cloud),
            state_dir: self.state_dir.or(file.state_dir),
            allow_files_from: match self.allow_files_from {
                none if none.is_empty() => file.allow_files_from,
                some => some,
            },
            owner: self.owner.or(file.owner),
            listen: self.listen.or(file.listen),
            web_config: self.web_config.or(file.web_config),
            api_write: self.api_write.or(file.api_write),
            api_token_file: self.api_token_file.or(file.api_token_file),
            webhook_url: self.webhook_url.or(file.webhook_url),
            webhook_format: self.webhook_format.or(file.webhook_format),
            webhook_token_file: self.webhook_token_file.or(file.webhook_token_file),
            webhook_rate: self.webhook_rate.or(file.webhook_rate),
            poll_interval: self.poll_interval.or(file.poll_interval),
            rescan_interval: self.rescan_interval.or(file.rescan_interval),
            max_in_flight: self.max_in_flight.or(file.max_in_flight),
            prune_grace: self.prune_grace.or(file.prune_grace),
            prune_data_grace: self.prune_data_grace.or(file.prune_data_grace),
            prune_allow_empty: self.prune_allow_empty.or(file.prune_allow_empty),
            prune: self.prune.or(file.prune),
            prune_max_share: self.prune_max_share.or(file.prune_max_share),
            prune_per_cycle: self.prune_per_cycle.or(file.prune_per_cycle),
            prune_per_hour: self.prune_per_hour.or(file.prune_per_hour),
            observe_only: self.observe_only.or(file.observe_only),
            uncertain_window: self.uncertain_window.or(file.uncertain_window),
            gone_after: self.gone_after.or(file.gone_after),
            log_format: self.log_format.or(file.log_format),
            log_level: self.log_level.or(file.log_level),
            timeout: self.timeout.or(file.timeout),
        }
    }

    /// The complete settings. `variable` reads the environment, `once` is `--once`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn complete(
        self,
        variable: &dyn Fn(&str) -> Option<String>,
        once: bool,
    ) -> Result<Config, BadConfigs> {
        let mut wrong = Vec::new();
        let cloud = CloudChoice::new(self.cloud.as_deref());
        let state = match (self.state_dir, &cloud) {
            (Some(directory), _) => State::Directory(directory),
            (None, CloudChoice::Sandbox) => State::Memory,
            (None, _) => State::Directory(default_state(variable).unwrap_or_else(|| {
                let hint = "give --state-dir, or set HOME";
                wrong.push(BadConfig::new(
                    "there is no place for the state directory",
                    hint,
                ));
                PathBuf::new()
            })),
        };
        let mut engine = Settings::new(Owner(Uuid::nil()));
        let spans = [
            (
                "--poll-interval",
                self.poll_interval,
                Duration::from_secs(1),
                &mut engine.poll_interval,
            ),
            (
                "--prune-grace",
                self.prune_grace,
                Duration::ZERO,
                &mut engine.prune_grace,
            ),
            (
                "--prune-data-grace",
                self.prune_data_grace,
                Duration::ZERO,
                &mut engine.prune_data_grace,
            ),
            (
                "--uncertain-window",
                self.uncertain_window,
                Duration::ZERO,
                &mut engine.uncertain_window,
            ),
            (
                "--gone-after",
                self.gone_after,
                Duration::ZERO,
                &mut engine.gone_after,
            ),
        ];
        for (flag, given, least, setting) in spans {
            *setting = checked(flag, given, least, *setting, &mut wrong);
        }
        let second = Duration::from_secs(1);
        let rescan_interval = checked(
            "--rescan-interval",
            self.rescan_interval,
            second,
            RESCAN,
            &mut wrong,
        );
        let timeout = checked("--timeout", self.timeout, second, TIMEOUT, &mut wrong);
        engine.prune_allow_empty = self.prune_allow_empty.unwrap_or(engine.prune_allow_empty);
        engine.prune = self.prune.unwrap_or(engine.prune);
        let limits = &mut engine.prune_limits;
        limits.share = self.prune_max_share.unwrap_or(limits.share);
        limits.per_cycle = self.prune_per_cycle.unwrap_or(limits.per_cycle);
        limits.per_hour = self.prune_per_hour.unwrap_or(limits.per_hour);
        engine.observe_only = self.observe_only.unwrap_or(engine.observe_only);
        engine.max_in_flight = self.max_in_flight.unwrap_or(engine.max_in_flight);
        if !(1..=1000).contains(&engine.max_in_flight) {
            let message = format!("--max-in-flight is {}", engine.max_in_flight);
            wrong.push(BadConfig::new(
                message,
                "from 1 to 1000 requests may be in flight",
            ));
        }
        let webhook = Webhook::of(
            self.webhook_url,
            self.webhook_format,
            self.webhook_token_file,
            self.webhook_rate,
            &mut wrong,
        );
        let manifests = self.manifests.unwrap_or_default();
        if let Err(problem) = check_directory("--manifests", &manifests) {
            wrong.push(problem);
        }
        for directory in &self.allow_files_from {
            wrong.extend(check_directory("--allow-files-from", directory).err());
        }
        if self.api_token_file.is_some() && self.api_write.is_none() {
            let message = "--api-token-file says who may write, and nothing is written";
            wrong.push(BadConfig::new(
                message,
                "give --api-write as well, or leave it out",
            ));
        }
        if self.api_write.is_some() && self.api_token_file.is_none() && state == State::Memory {
            let message = "--api-write: nobody may write, without a state directory and its socket";
            wrong.push(BadConfig::new(
                message,
                "give --api-token-file, or --state-dir",
            ));
        }
        let config = Config {
            // Below the manifests, where else it is said to be: that is checked when it is opened.
            api_write: self.api_write.map(|directory| manifests.join(directory)),
            api_token_file: self.api_token_file,
            manifests,
            cloud,
            state,
            allow_files_from: self.allow_files_from,
            owner: self.owner,
            listen: match self.listen {
                Some(Listen::At(address)) => Some(address),
                None if !once => LISTEN.parse().ok(),
                None | Some(Listen::None) => None,
            },
            web_config: self.web_config,
            webhook,
            rescan_interval,
            timeout,
            log_format: self.log_format,
            log_level: self.log_level,
            engine,
        };
        if wrong.is_empty() {
            Ok(config)
        } else {
            Err(BadConfigs(wrong))
        }
    }
}

fn checked(
    flag: &str,
    given: Option<Span>,
    least: Duration,
    default: Duration,
    wrong: &mut Vec<BadConfig>,
) -> Duration {
    // A time that is added to the clock must not leave its range.
    let most = Duration::from_secs(365 * 24 * 3600);
    let value = given.map_or(default, |span| span.0);
    if !(least..=most).contains(&value) {
        let hint = format!("it may be from {} to 8760h", duration_text(least));
        wrong.push(BadConfig::new(
            format!("{flag} is {}", duration_text(value)),
            hint,
        ));
    }
    value
}

fn check_directory(flag: &str, directory: &Path) -> Result<(), BadConfig> {
    let shown = directory.display();
    if directory.as_os_str().is_empty() {
        let hint = format!("name the directory of your manifests: {flag} ./manifests");
        return Err(BadConfig::new(format!("{flag} is missing"), hint));
    }
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(BadConfig::new(
            format!("{flag}: `{shown}` is not a directory"),
            "name the directory that the files are in",
        )),
        Err(error) => {
            let hint = format!("make it, or correct {flag}");
            Err(BadConfig::new(
                format!("{flag}: cannot read `{shown}`: {error}"),
                hint,
            ))
        }
    }
}

/// The state directory when none is given: as systemd says, else in the user's own.
pub fn default_state(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    // systemd separates several by colons.
    if let Some(given) = set("STATE_DIRECTORY") {
        return given.split(':').next().map(PathBuf::from);
    }
    let base = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state")));
    base.map(|base| base.join("stackward"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    fn flags() -> Flags {
        Flags {
            manifests: Some(PathBuf::from("/")),
            ..Flags::default()
        }
    }

    #[test]
    fn the_state_directory_is_where_the_system_wants_it() {
        let state = |pairs, cloud: Option<&str>| {
            let flags = Flags {
                cloud: cloud.map(str::to_owned),
                ..flags()
            };
            flags.complete(&environment(pairs), false).unwrap().state
        };
        let directory = |path| State::Directory(PathBuf::from(path));
        let all: &[_] = &[
            ("STATE_DIRECTORY", "/var/lib/s:/x"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(state(all, None), directory("/var/lib/s"));
        assert_eq!(state(&all[1..], None), directory("/x/stackward"));
        assert_eq!(
            state(&all[2..], None),
            directory("/h/.local/state/stackward")
        );
        assert_eq!(state(&all[2..], Some(SANDBOX)), State::Memory);
        let error = flags().complete(&environment(&[]), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no place for the state directory"
        );
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let text = "manifests: here\npollInterval: 5s\nrescanInterval: 1m\nlisten: none\nallowFilesFrom: [/etc]\n";
        let file = Flags::from_text(text, Path::new("/")).unwrap();
        assert_eq!(file.manifests.as_deref(), Some(Path::new("/here")));
        let given = Flags {
            poll_interval: Some(Span(Duration::from_secs(7))),
            ..flags()
        };
        let config = given
            .or(file)
            .complete(&environment(&[("HOME", "/h")]), false)
            .unwrap();
        assert_eq!(config.engine.poll_interval, Duration::from_secs(7));
        assert_eq!(config.rescan_interval, Duration::from_secs(60));
        assert_eq!(config.engine.gone_after, Duration::from_secs(30));
        assert_eq!(config.listen, None);
        assert_eq!(config.allow_files_from, [PathBuf::from("/etc")]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let flags = Flags {
            manifests: Some(PathBuf::from("/does/not/exist")),
            poll_interval: Some(Span(Duration::from_millis(10))),
            max_in_flight: Some(0),
            ..Flags::default()
        };
        let error = flags
            .complete(&environment(&[("HOME", "/h")]), false)
            .unwrap_err();
        let messages: Vec<&str> = error.0.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(
            messages[..2],
            ["--poll-interval is 10ms", "--max-in-flight is 0"]
        );
        assert!(
            messages[2].starts_with("--manifests: cannot read `/does/not/exist`"),
            "{messages:?}"
        );
    }

    #[test]
    fn an_unknown_setting_is_an_error_and_an_empty_file_is_none() {
        let error = Flags::from_text("pollIntervall: 5s\n", Path::new("")).unwrap_err();
        assert!(error.contains("pollIntervall"), "{error}");
        assert!(
            Flags::from_text("# nothing yet\n", Path::new(""))
                .unwrap()
                .manifests
                .is_none()
        );
        let error = Flags::from_text("pollInterval: soon\n", Path::new("")).unwrap_err();
        assert!(error.contains("30s, 10m or 1h30m"), "{error}");
    }

    #[test]
    fn once_does_not_listen_unless_it_is_told_to() {
        let listen = |listen: Option<&str>, once| {
            let listen = listen.map(|text| text.parse().unwrap());
            let flags = Flags { listen, ..flags() };
            flags
                .complete(&environment(&[("HOME", "/h")]), once)
                .unwrap()
                .listen
        };
        assert_eq!(listen(None, true), None);
        assert_eq!(listen(None, false), LISTEN.parse().ok());
        assert_eq!(
            listen(Some("127.0.0.1:0"), true),
            "127.0.0.1:0".parse().ok()
        );
    }
}
