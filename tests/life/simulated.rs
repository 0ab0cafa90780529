//! The stage without a socket: the pure engine beside the sandbox's pure core, on a fake clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stackward::engine::guard::{Limits, Percent};
use stackward::kinds::call::{Call, CallError, Reply};

use crate::sim::{self, Sim};
use crate::stage::Stage;

pub(crate) struct Simulated {
    sim: Sim,
    assets: tempfile::TempDir,
}

impl Simulated {
    pub(crate) fn new() -> Self {
        let mut sim = Sim::of_admin(1);
        sim.settings.prune_allow_empty = true;
        // All of it goes at once, in the end: not what the guards are for.
        sim.settings.prune_limits = Limits {
            share: Percent::ALL,
            per_cycle: usize::MAX,
            per_hour: usize::MAX,
        };
        sim.restart();
        Self {
            sim,
            assets: tempfile::tempdir().unwrap(),
        }
    }
}

impl Stage for Simulated {
    fn declare(&mut self, manifests: &[(String, String)], files: &BTreeMap<String, String>) {
        let mut assets: BTreeMap<String, PathBuf> = BTreeMap::new();
        for (name, text) in files {
            let path = self.assets.path().join(name);
            std::fs::write(&path, text).unwrap();
            assets.insert(name.clone(), path);
        }
        let desired = sim::assemble(manifests, Some(&self.sim.desired), &assets);
        self.sim.declare_set(desired);
    }

    fn pass(&mut self, span: Duration) {
        self.sim.run_for(span);
    }

    fn now(&self) -> Timestamp {
        self.sim.now
    }

    fn patience(&self) -> (Duration, Duration) {
        (Duration::from_secs(5), Duration::from_secs(600))
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn picture(&mut self) -> Value {
        serde_json::to_value(self.sim.engine.snapshot()).unwrap()
    }

    fn writes(&mut self) -> Vec<String> {
        self.sim.writes().into_iter().cloned().collect()
    }

    fn send(&mut self, call: &Call) -> Result<Reply, CallError> {
        self.sim.pass_on(call)
    }

    fn user(&self) -> String {
        self.sim.user().to_owned()
    }

    fn restart(&mut self) {
        self.sim.restart();
    }
}
