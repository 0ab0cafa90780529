//! What systemd is told, and what it hands over: readiness, a line of status, the watchdog, sockets.
//!
//! Without `NOTIFY_SOCKET` and `LISTEN_FDS` nothing of this does anything. What is told is taken
//! from the same pictures that everybody else sees.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::time::interval;

use super::Picture;
use super::clock::Heartbeat;

/// A loop whose last turn is older is not vouched for. It turns every 5 s when nothing happens.
const FRESH: Duration = Duration::from_secs(10);
/// How often it is vouched for when no watchdog asks for more.
const USUAL: Duration = Duration::from_secs(10);
/// As long as the loop turns, the start may take this much longer.
const LONGER: Duration = Duration::from_secs(60);
/// Characters of a line of status.
const LONGEST: usize = 300;

/// The service manager's picture of this daemon.
#[derive(Debug, Default)]
pub struct Supervisor {
    ready: Arc<AtomicBool>,
    /// The line that it was told last.
    line: String,
    /// What was wrong with the last reload.
    complaint: Option<String>,
    picture: Picture,
}

impl Supervisor {
    /// Vouches for the loop until the future is dropped.
    pub fn vouch_for(&self, heartbeat: Heartbeat) -> impl Future<Output = ()> + use<> {
        vouch(
            heartbeat,
            Arc::clone(&self.ready),
            sd_notify::watchdog_enabled(),
            tell,
        )
    }

    /// Tells what is new in a picture; the first complete look makes the service ready.
    pub fn show(&mut self, picture: &Picture) {
        self.picture = picture.clone();
        let line = status_line(picture, self.complaint.as_deref());
        let is_new = line != self.line;
        if picture.is_ready() && !self.ready.swap(true, Ordering::Relaxed) {
            tell(&[NotifyState::Ready, NotifyState::Status(&line)]);
        } else if is_new {
            tell(&[NotifyState::Status(&line)]);
        }
        self.line = line;
    }

    /// A reload begins. Before the first look nothing is said of it: `READY=1` would end the start.
    pub fn reloading(&self) {
        if !self.ready.load(Ordering::Relaxed) {
            return;
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the monotonic clock cannot be read"),
        }
    }

    /// The reload is over; what was wrong with it stays in the line of status until the next one.
    pub fn reloaded(&mut self, result: Result<(), String>) {
        self.complaint = result.err();
        if self.ready.load(Ordering::Relaxed) {
            tell(&[NotifyState::Ready]);
        }
        let picture = self.picture.clone();
        self.show(&picture);
    }

    /// It ends.
    pub fn stopping(&self) {
        tell(&[
            NotifyState::Stopping,
            NotifyState::Status("finishing what is in flight"),
        ]);
    }
}

/// A socket that was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the socket that was handed over as number {number} cannot be used")]
pub struct BadSocket {
    /// Which, from 1.
    pub number: usize,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl BadSocket {
    /// What a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        "in the socket unit write ListenStream=ADDRESS:PORT, such as 127.0.0.1:9797"
    }
}

/// The sockets that the service manager listens on for us, in its order; none without activation.
///
/// # Errors
/// One of them is no TCP socket.
pub fn sockets() -> Result<Vec<TcpListener>, BadSocket> {
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..given.len() {
        let failed = |source| BadSocket {
            number: index + 1,
            source,
        };
        if let Some(socket) = given.take_tcp_listener(index).map_err(failed)? {
            socket.set_nonblocking(true).map_err(failed)?;
            sockets.push(TcpListener::from_std(socket).map_err(failed)?);
        }
    }
    Ok(sockets)
}

/// Nobody is left to hear of a message that does not arrive; the watchdog notices.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

async fn vouch(
    heartbeat: Heartbeat,
    ready: Arc<AtomicBool>,
    watchdog: Option<Duration>,
    tell: impl Fn(&[NotifyState<'_>]),
) {
    let watchdog = watchdog.filter(|limit| !limit.is_zero());
    let every = watchdog.map_or(USUAL, |limit| USUAL.min(limit / 3));
    let mut tick = interval(every.max(Duration::from_millis(1)));
    loop {
        tick.tick().await;
        if heartbeat.age() >= FRESH {
            continue;
        }
        if watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        if !ready.load(Ordering::Relaxed) {
            let longer = u32::try_from(LONGER.as_micros()).unwrap_or(u32::MAX);
            tell(&[NotifyState::ExtendTimeoutUsec(longer)]);
        }
    }
}

/// What `systemctl status` shows: one line, whatever the texts in it hold.
fn status_line(picture: &Picture, complaint: Option<&str>) -> String {
    let snapshot = &picture.snapshot;
    let mut parts = Vec::new();
    if let Some(complaint) = complaint {
        parts.push(format!("not reloaded: {complaint}"));
    }
    if let Some(why) = &snapshot.paused {
        parts.push(format!("paused: {why}"));
    }
    if let Some(frozen) = &snapshot.frozen {
        let count = frozen.objects.len();
        parts.push(format!(
            "{count} deletions wait for `stackward approve {}`",
            frozen.hash
        ));
    }
    for (scope, why) in &picture.refused {
        parts.push(format!("cloud {scope}: {why}"));
    }
    for (scope, view) in &snapshot.scopes {
        if let Some(why) = view
            .error
            .as_ref()
            .filter(|_| !picture.refused.contains_key(scope))
        {
            parts.push(format!("cloud {scope}: {why}"));
        }
    }
    let errors = snapshot.problems.iter().filter(|it| it.is_error()).count();
    if errors > 0 {
        parts.push(format!("{} in the manifests", counted(errors, "error")));
    }
    if !picture.is_ready() {
        parts.push("looking for the first time".to_owned());
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for object in snapshot.objects.values() {
        *reasons.entry(object.reason).or_default() += 1;
    }
    let mut objects = counted(snapshot.objects.len(), "object");
    for (reason, count) in reasons {
        // Writing to a text cannot fail.
        let _: std::fmt::Result = write!(objects, ", {count} {reason}");
    }
    parts.push(objects);
    let line = parts.join("; ");
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect()
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::scope::Scope;
    use crate::engine::snapshot::Snapshot;

    fn picture(change: impl FnOnce(&mut Picture, &mut Snapshot)) -> Picture {
        let (mut picture, mut snapshot) = (Picture::default(), Snapshot::default());
        change(&mut picture, &mut snapshot);
        picture.snapshot = Arc::new(snapshot);
        picture
    }

    #[test]
    fn the_line_of_status_says_what_needs_a_person_first() {
        let first = picture(|_, _| {});
        assert_eq!(
            status_line(&first, None),
            "looking for the first time; 0 objects"
        );
        let rest = picture(|picture, snapshot| {
            (picture.loaded, snapshot.looked) = (true, true);
            snapshot.paused = Some("observe only".to_owned());
        });
        assert_eq!(
            status_line(&rest, Some("--poll-interval is 1ms")),
            "not reloaded: --poll-interval is 1ms; paused: observe only; 0 objects"
        );
    }

    #[test]
    fn what_a_cloud_says_cannot_make_the_service_ready() {
        let picture = picture(|picture, _| {
            let said = format!("no\nREADY=1\n{}", "x".repeat(1000));
            picture.refused.insert(Scope::new("c"), said);
        });
        let line = status_line(&picture, None);
        assert!(line.starts_with("cloud c: no READY=1 xxx"), "{line}");
        assert_eq!(line.chars().count(), LONGEST);
        assert!(!line.contains('\n'));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_turn_is_not_vouched_for() {
        let (heartbeat, said) = (Heartbeat::new(), Arc::new(Mutex::new(Vec::new())));
        let ready = Arc::new(AtomicBool::new(false));
        let hear = Arc::clone(&said);
        let tell = move |states: &[NotifyState<'_>]| {
            let words = states.iter().map(ToString::to_string);
            hear.lock().unwrap().extend(words);
        };
        let heard = || std::mem::take(&mut *said.lock().unwrap());
        let limit = Some(Duration::from_secs(6));
        let vouching = vouch(heartbeat.clone(), Arc::clone(&ready), limit, tell);
        tokio::pin!(vouching);
        let mut go = async |seconds| {
            let _: Result<(), _> =
                tokio::time::timeout(Duration::from_secs(seconds), &mut vouching).await;
        };
        heartbeat.beat();
        go(3).await;
        let both = ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000"];
        assert_eq!(heard(), [both, both].concat(), "at once, and every 2 s");
        ready.store(true, Ordering::Relaxed);
        go(2).await;
        assert_eq!(heard(), ["WATCHDOG=1"]);
        go(60).await;
        assert_eq!(
            heard(),
            ["WATCHDOG=1"; 2],
            "the last beat is older than 10 s then"
        );
        heartbeat.beat();
        go(3).await;
        assert!(!heard().is_empty());
    }
}
