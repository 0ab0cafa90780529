//! `stackward run`: the daemon, or one convergence.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::cloud::environment::Environment;
use crate::config::{Config, Flags, LogFormat, State};
use crate::daemon::clock::Clock;
use crate::daemon::clouds::OpenStack;
use crate::daemon::control::{self, Socket};
use crate::daemon::door::Door;
use crate::daemon::kubernetes::{Kubernetes, Writes};
use crate::daemon::load::Loader;
use crate::daemon::metrics::Metrics;
use crate::daemon::remote::Connections;
use crate::daemon::serve::{self, Shown};
use crate::daemon::supervisor::{self, Supervisor};
use crate::daemon::telemetry::{self, NoLog};
use crate::daemon::uploads::Uploads;
use crate::daemon::webhook::Webhook;
use crate::daemon::{Daemon, Input, Parts, Picture, watch};
use crate::engine::Engine;
use crate::sandbox::Running;
use crate::store::{Opened, Store};

use super::bars::{self, Bars};
use super::failure::Advised;
use super::progress::Progress;
use super::standing::{Prospect, outlook};
use super::{embedded, failure};

const EXAMPLES: &str = "\
Examples:
  stackward run --manifests manifests/wordpress --cloud sandbox
  stackward run --manifests ./manifests --cloud mycloud --listen 0.0.0.0:9797
  stackward run --once --timeout 20m --manifests ./manifests --cloud mycloud

With --once the exit status is 0 when every object is Available and up to date and nothing is
being deleted, and 1 otherwise; the reasons are printed. SIGTERM ends it after what is in flight;
a second one at once. SIGHUP rereads --config, credentials and manifests.";

/// With `--once` nothing may change for this long before it is called stuck,
const STUCK_AFTER: Duration = Duration::from_secs(3);
/// and for this long when somebody outside may still create what is imported.
const OUTSIDE_AFTER: Duration = Duration::from_secs(60);

/// Make the cloud as the manifests say, and keep it so
///
/// Reads the manifests, looks at the cloud, and creates, changes and deletes until both agree; then
/// it stays, follows the directory, and puts right what somebody else changes. It only deletes what
/// it made, after a grace and behind guards. It may be stopped at any time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// File with settings, named as the flags are, in camelCase; flags beat it
    #[arg(long, value_name = "FILE", env = "STACKWARD_CONFIG")]
    config: Option<PathBuf>,
    /// Converge once, print the outcome and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Run {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let environment = Environment::of_process();
        let given = Given {
            flags: self.flags,
            file: self.config,
            once: self.once,
        };
        let config = given.settings(&environment)?;
        start_log(&config, given.once)?;
        let running = embedded::start(&config.cloud).await?;
        let opened = match &config.state {
            State::Directory(directory) => Store::open(directory, config.owner)?,
            State::Memory => Store::memory(config.owner)?,
        };
        let door = Door::guarded_by(
            config.web_config.as_deref(),
            config.api_token_file.as_deref(),
        )?;
        let listeners = listeners(config.listen).await?;
        Session::start(
            config,
            given,
            environment,
            running,
            opened,
            (listeners, door),
        )?
        .run()
        .await
    }
}

/// Where the endpoint is: the sockets that the service manager has opened for it, else its address.
async fn listeners(listen: Option<SocketAddr>) -> anyhow::Result<Vec<TcpListener>> {
    let Some(address) = listen else {
        return Ok(Vec::new());
    };
    let given = supervisor::sockets()?;
    if given.is_empty() {
        return Ok(vec![serve::bind(address).await?.0]);
    }
    Ok(given)
}

/// What was given at the start: on SIGHUP the settings are made of it anew.
struct Given {
    flags: Flags,
    file: Option<PathBuf>,
    once: bool,
}

impl Given {
    fn settings(&self, environment: &Environment) -> anyhow::Result<Config> {
        settings(
            self.flags.clone(),
            self.file.as_deref(),
            environment,
            self.once,
        )
    }
}

/// The settings of a command.
pub(super) fn settings(
    flags: Flags,
    file: Option<&Path>,
    environment: &Environment,
    once: bool,
) -> anyhow::Result<Config> {
    let flags = match file {
        Some(path) => {
            let file = Flags::from_file(path)
                .map_err(|error| Advised::error(error.message, error.hint))?;
            flags.or(file)
        }
        None => flags,
    };
    let variable = |name: &str| environment.var(name).map(str::to_owned);
    Ok(flags.complete(&variable, once)?)
}

/// As a service everything that changes is logged; for a person who watches the lines on stdout say so.
pub(super) fn start_log(config: &Config, watched: bool) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    let watched =
        watched || std::io::stdout().is_terminal() && config.log_format != Some(LogFormat::Json);
    let usual = if watched { "error" } else { "info" };
    let filter = config.log_level.as_deref().unwrap_or(usual);
    telemetry::start(config.log_format, filter).map_err(|error| match error {
        NoLog::Filter(error) => Advised::error(
            format!("--log-level `{filter}` is not understood: {error}"),
            "such as warn, debug, or info,stackward::cloud=debug",
        ),
        NoLog::Journal(error) => Advised::error(
            format!("--log-format journald: the journal cannot be reached: {error}"),
            "leave --log-format out: the journal is used where stderr goes to it",
        ),
    })
}

/// One run, from start to end.
struct Session {
    config: Config,
    given: Given,
    daemon: Daemon,
    again: Arc<Notify>,
    door: Door,
    metrics_url: Option<String>,
    uploads: Uploads,
    began: Instant,
    /// The simulated cloud lives as long as the run.
    _sandbox: Option<Running>,
}

impl Session {
    fn start(
        config: Config,
        given: Given,
        environment: Environment,
        sandbox: Option<Running>,
        opened: Opened,
        (listeners, door): (Vec<TcpListener>, Door),
    ) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new().context("cannot set up the metrics")?);
        let uploads = Uploads::default();
        let dialer = OpenStack {
            environment,
            choice: config.cloud.clone(),
            sandbox: sandbox.as_ref().map(Running::clouds_yaml),
            metrics: Arc::clone(&metrics),
            uploads: uploads.clone(),
        };
        let mut settings = config.engine.clone();
        settings.owner = opened.owner;
        let daemon = Daemon::start(Parts {
            engine: Engine::new(settings, opened.journal, fastrand::u64(..)),
            store: opened.store,
            connections: Connections::new(Arc::new(dialer)),
            clock: Clock::machine(),
            metrics: Arc::clone(&metrics),
        });
        if let Some(webhook) = &config.webhook {
            Webhook::new(webhook.clone(), opened.owner.0)?.start(
                daemon.pictures.clone(),
                Arc::clone(&metrics),
                daemon.stop.clone(),
            )?;
        }
        let again = Arc::new(Notify::new());
        let scope = config.cloud.scope();
        let loader = || {
            Loader::new(
                config.manifests.clone(),
                config.allow_files_from.clone(),
                scope.clone(),
            )
        };
        let writes = match &config.api_write {
            Some(directory) => {
                let (again, metrics) = (Arc::clone(&again), Arc::clone(&metrics));
                let manifests = &config.manifests;
                let writes = Writes::open(manifests, directory, loader(), again, metrics);
                Some(writes.context("--api-write")?)
            }
            None => None,
        };
        let kubernetes = Kubernetes::new(writes);
        let showing = kubernetes
            .clone()
            .follow(daemon.pictures.clone(), daemon.stop.clone());
        telemetry::spawn("kubernetes", showing);
        let loader = loader();
        let following = watch::follow(
            loader,
            config.manifests.clone(),
            config.rescan_interval,
            daemon.inputs.clone(),
            Arc::clone(&again),
            Arc::clone(&metrics),
            daemon.stop.clone(),
        );
        telemetry::spawn("watch", following);
        if let State::Directory(directory) = &config.state {
            let socket = Socket::open(directory).with_context(|| {
                format!("cannot open {}", directory.join(control::SOCKET).display())
            })?;
            let (inputs, pictures) = (daemon.inputs.clone(), daemon.pictures.clone());
            let kubernetes = kubernetes.clone();
            let serving = socket.serve(inputs, pictures, kubernetes, daemon.stop.clone());
            telemetry::spawn("control", serving);
        }
        let mut metrics_url = None;
        for listener in &listeners {
            let address = listener.local_addr()?;
            let url = format!("{}://{address}/metrics", door.scheme());
            if door.is_open() && !address.ip().is_loopback() {
                tracing::warn!(
                    %address,
                    "everybody who reaches this address can read it; --web-config guards it"
                );
            }
            if config.api_token_file.is_some()
                && door.scheme() == "http"
                && !address.ip().is_loopback()
            {
                tracing::warn!(%address, "tokens come in the clear; --web-config gives it TLS");
            }
            tracing::info!(address = url, "listening");
            metrics_url.get_or_insert(url);
        }
        if !listeners.is_empty() {
            let shown = Shown {
                pictures: daemon.pictures.clone(),
                heartbeat: daemon.heartbeat.clone(),
                metrics,
                kubernetes,
            };
            let serving = serve::serve(listeners, shown, door.clone(), daemon.stop.clone());
            telemetry::spawn("endpoint", serving);
        }
        let began = Instant::now();
        Ok(Self {
            config,
            given,
            daemon,
            again,
            door,
            metrics_url,
            uploads,
            began,
            _sandbox: sandbox,
        })
    }

    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let out = anstream::stdout();
        let mut progress = Progress::new(out, self.config.manifests.clone());
        let mut bars = Bars::new(self.uploads.clone(), self.given.once);
        let mut ticks = interval(bars::EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut pictures = self.daemon.pictures.clone();
        let mut patience = Patience::new(self.began + self.config.timeout);
        self.greet(&mut progress)?;
        let mut supervisor = Supervisor::default();
        let vouching = supervisor.vouch_for(self.daemon.heartbeat.clone());
        telemetry::spawn("supervisor", vouching);
        let code = loop {
            let picture = pictures.borrow_and_update().clone();
            supervisor.show(&picture);
            let seconds = self.began.elapsed().as_secs_f64();
            bars.above(|| progress.show(&picture, seconds))?;
            bars.count(&picture.snapshot);
            if self.given.once {
                if let Some(code) = patience.verdict(&picture) {
                    bars.clear();
                    progress.summary(&picture.snapshot)?;
                    self.explain(&picture, &patience)?;
                    break code;
                }
            } else if progress.has_just_converged(&picture) {
                bars.clear();
                progress.summary(&picture.snapshot)?;
                if let Some(url) = &self.metrics_url {
                    progress.say(&format!("metrics: {url}"))?;
                }
            }
            tokio::select! {
                changed = pictures.changed() => if changed.is_err() {
                    return Err(Advised::error("the engine has ended", "this is a bug; please report it"));
                },
                () = sleep_until(patience.next), if self.given.once => {}
                _ = ticks.tick(), if bars.are_seen() => bars.tick(),
                _ = terminate.recv() => break ended_by_signal(self.given.once),
                _ = interrupt.recv() => break ended_by_signal(self.given.once),
                _ = hangup.recv() => {
                    supervisor.reloading();
                    supervisor.reloaded(self.reload().await);
                }
            }
        };
        bars.clear();
        tracing::info!("stopping");
        supervisor.stopping();
        tokio::select! {
            () = self.daemon.stop() => Ok(code),
            _ = terminate.recv() => Ok(ExitCode::FAILURE),
            _ = interrupt.recv() => Ok(ExitCode::FAILURE),
        }
    }

    fn greet(&self, progress: &mut Progress<impl std::io::Write>) -> std::io::Result<()> {
        let manifests = self.config.manifests.display();
        let cloud = match &self.config.cloud {
            crate::config::CloudChoice::Default => "the default cloud".to_owned(),
            crate::config::CloudChoice::Named(name) => format!("cloud {name}"),
            crate::config::CloudChoice::Sandbox => {
                "a simulated cloud inside of this process".to_owned()
            }
        };
        progress.say(&format!("manifests: {manifests}, on {cloud}"))?;
        match &self.metrics_url {
            Some(url) => progress.say(&format!("metrics:   {url}")),
            None => Ok(()),
        }
    }

    fn explain(&self, picture: &Picture, patience: &Patience) -> anyhow::Result<()> {
        let errors = picture
            .snapshot
            .problems
            .iter()
            .filter(|problem| problem.is_error())
            .count();
        let words = if patience.is_over() {
            let timeout = crate::manifest::duration_text(self.config.timeout);
            Advised::error(
                format!("not done after {timeout}"),
                "the objects above say what they wait for; --timeout gives more time",
            )
        } else if let Some((scope, refused)) = picture.refused.iter().next() {
            anyhow::anyhow!("cloud {scope} cannot be used: {refused}")
        } else if errors > 0 {
            let hint = "correct them; `stackward validate` shows them without a cloud";
            Advised::error(format!("{errors} problems in the manifests"), hint)
        } else if !picture.snapshot.is_converged() {
            Advised::error(
                "what is left needs a person",
                "the objects above say what is in their way",
            )
        } else {
            return Ok(());
        };
        failure::report(&words);
        Ok(())
    }

    /// Says what was wrong with the settings; they stay as they were then.
    async fn reload(&self) -> Result<(), String> {
        tracing::info!("settings, credentials and manifests are read again");
        let settings = match self.given.settings(&Environment::of_process()) {
            Ok(config) => {
                if !config.starts_like(&self.config) {
                    tracing::warn!(
                        "only intervals, graces and limits change before the next start"
                    );
                }
                let input = Input::Settings(config.engine);
                let _: Result<(), _> = self.daemon.inputs.send(input).await;
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the settings stay as they were");
                Err(error.to_string())
            }
        };
        // The engine that is gone is noticed by its pictures.
        let _: Result<(), _> = self.daemon.inputs.send(Input::Reload).await;
        self.again.notify_one();
        settings.and(self.renew_door())
    }

    fn renew_door(&self) -> Result<(), String> {
        self.door.renew().map_err(|error| {
            tracing::error!(%error, hint = error.hint(), "the endpoint is guarded as it was");
            error.to_string()
        })
    }
}

fn ended_by_signal(once: bool) -> ExitCode {
    if once {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// How long `--once` waits for what does not move.
struct Patience {
    end: Instant,
    /// The next moment at which time alone decides.
    next: Instant,
    stuck_since: Option<(Prospect, Instant)>,
}

impl Patience {
    const fn new(end: Instant) -> Self {
        Self {
            end,
            next: end,
            stuck_since: None,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    fn verdict(&mut self, picture: &Picture) -> Option<ExitCode> {
        let now = Instant::now();
        if now >= self.end {
            return Some(ExitCode::FAILURE);
        }
        self.next = self.end;
        let snapshot = &picture.snapshot;
        if !picture.loaded {
            return None;
        }
        let faultless = !snapshot
            .problems
            .iter()
            .any(crate::manifest::Problem::is_error);
        if snapshot.looked && snapshot.is_converged() {
            return Some(if faultless {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        let prospect = outlook(snapshot, &picture.refused);
        let wait = match prospect {
            Prospect::Moving => {
                self.stuck_since = None;
                return None;
            }
            Prospect::Outside => OUTSIDE_AFTER,
            // The first look is under way. With a file that cannot be read it is never called complete.
            Prospect::Done | Prospect::Stuck
                if !snapshot.looked && faultless && picture.refused.is_empty() =>
            {
                return None;
            }
            Prospect::Done | Prospect::Stuck => STUCK_AFTER,
        };
        let since = match self.stuck_since {
            Some((before, since)) if before == prospect => since,
            _ => now,
        };
        self.stuck_since = Some((prospect, since));
        if now >= since + wait {
            return Some(ExitCode::FAILURE);
        }
        self.next = self.end.min(since + wait);
        None
    }
}
