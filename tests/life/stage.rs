//! Where the play is given: a daemon and its cloud, real or not.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stackward::kinds::call::{Call, CallError, Reply};

/// A daemon beside a cloud.
pub(crate) trait Stage {
    /// The manifests are now these, by file; `files` lie beside them.
    fn declare(&mut self, manifests: &[(String, String)], files: &BTreeMap<String, String>);
    /// Lets this much time go by.
    fn pass(&mut self, span: Duration);
    /// The time on the daemon's clock.
    fn now(&self) -> Timestamp;
    /// How long to wait between two questions, and how long in all.
    fn patience(&self) -> (Duration, Duration);
    /// How long a grace and a proof take at most.
    fn grace(&self) -> Duration;
    /// What `stackward status -o json` shows.
    fn picture(&mut self) -> Value;
    /// Every request that may have changed something, as `Kind/namespace/name: intent`, from the
    /// beginning on.
    fn writes(&mut self) -> Vec<String>;
    /// A request of somebody else with an administrator's rights.
    fn send(&mut self, call: &Call) -> Result<Reply, CallError>;
    /// The id of the daemon's user.
    fn user(&self) -> String;
    /// The daemon ends and is started again.
    fn restart(&mut self);
}
