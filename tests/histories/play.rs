//! A history as data, how a seed gives one, how it is played, and what must hold throughout.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::{Value, json};
use stackward::engine::journal::Journal;
use stackward::kinds::call::Service;
use stackward::kinds::{self, KINDS, MarkerPlace};
use stackward::manifest::Key;

use super::catalogue::{CANARY, CLOUD, Declared, Entry, PROJECT};
use super::sim::{Fault, Sim, View};

const MINUTE: Duration = Duration::from_secs(60);

/// What kind of trouble a history is of. What no daemon can tell apart is not mixed: a lost journal
/// and a list that lies, or two of the things that the window of an uncertain create is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Faults of requests and of the journal, crashes.
    Faults,
    /// Requests that are carried out late as well.
    Late,
    /// The state directory is lost or rolled back when the daemon dies.
    Disk,
    /// Looks lag behind as well as faults.
    Stale,
    /// Looks omit items or fail; what fails is known to have failed.
    Omitted,
}

const THEMES: [Theme; 5] = [
    Theme::Faults,
    Theme::Late,
    Theme::Disk,
    Theme::Stale,
    Theme::Omitted,
];

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// An object is declared with what it needs, or removed with what needs it.
    Toggle(usize),
    /// The next variant of an object.
    Vary(usize),
    /// An object's file is broken until the next edit.
    Break(usize),
    /// The daemon is told of edits, or not for now.
    Watch(bool),
    /// A person deletes the resource of an object.
    HandDelete(usize),
    /// A person gives it another name.
    HandRename(usize),
    /// A person makes something of the same kind and name.
    LookAlike(usize),
    /// The request with this number from now on goes wrong.
    Request(usize, Fault),
    /// The write of the journal with this number from now on fails, or the daemon dies.
    Write(usize, Option<bool>),
    /// The next looks at an object's kind.
    Look(usize, View, usize),
    /// Services ignore the filters of lists, or not.
    Unfiltered(bool),
    /// The daemon is started again.
    Restart,
    /// Time passes.
    Run(u64),
}

#[derive(Debug, Clone)]
pub(crate) struct History {
    pub seed: u64,
    pub admin: bool,
    pub theme: Theme,
    pub ops: Vec<Op>,
}

impl History {
    /// The history of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let theme = THEMES[rng.usize(..THEMES.len())];
        // What has no marker is known again by its content, and is a stranger's if that differs.
        let admin = rng.u8(..8) == 0 && theme != Theme::Disk;
        let many = if admin { CLOUD.len() } else { PROJECT.len() };
        let mut ops = Vec::new();
        for _ in 0..rng.usize(1..=3) {
            ops.push(Op::Toggle(rng.usize(..many)));
        }
        for _ in 0..rng.usize(2..=7) {
            ops.push(any(&mut rng, theme, many));
            ops.push(Op::Run(match rng.u8(..4) {
                0 => rng.u64(0..2),
                1 => rng.u64(2..20),
                _ => rng.u64(20..200),
            }));
        }
        Self {
            seed,
            admin,
            theme,
            ops,
        }
    }

    fn catalogue(&self) -> &'static [Entry] {
        if self.admin { CLOUD } else { PROJECT }
    }
}

fn any(rng: &mut fastrand::Rng, theme: Theme, many: usize) -> Op {
    let object = rng.usize(..many);
    match rng.u8(..20) {
        0..=2 => Op::Toggle(object),
        3..=5 => Op::Vary(object),
        6 => Op::Break(object),
        7 => Op::Watch(rng.bool()),
        8 => Op::HandDelete(object),
        9 => Op::HandRename(object),
        10 => Op::LookAlike(object),
        11 => Op::Restart,
        12 => {
            // A look that lies about what may have been made: nothing could tell.
            let before = (theme != Theme::Omitted).then_some(false);
            let how = [None, before, Some(true)];
            Op::Write(rng.usize(..8), how[rng.usize(..3)])
        }
        13..=15 if matches!(theme, Theme::Stale | Theme::Omitted) => {
            let view = match (theme, rng.u8(..4)) {
                (Theme::Stale, _) => View::Stale(rng.usize(1..=8)),
                (_, 0) => View::Down,
                (_, 1) => View::Omit(u64::MAX),
                _ => View::Omit(rng.u64(..)),
            };
            Op::Look(object, view, rng.usize(1..=4))
        }
        16 if theme == Theme::Omitted => Op::Unfiltered(rng.bool()),
        _ => Op::Request(rng.usize(..10), fault(rng, theme)),
    }
}

fn fault(rng: &mut fastrand::Rng, theme: Theme) -> Fault {
    let fault = Fault::ALL[rng.usize(..Fault::ALL.len())];
    match (theme, fault) {
        (Theme::Late, Fault::Late(_)) => Fault::Late(rng.u8(1..120)),
        (_, Fault::Late(_)) => Fault::NotSent,
        // A look that lies about what may have been made: nothing could tell.
        (Theme::Omitted, Fault::Refused | Fault::NotSent) => Fault::NotSent,
        (Theme::Omitted, _) => Fault::CrashBefore,
        (_, fault) => fault,
    }
}

/// A history that is being played.
struct Play {
    history: History,
    catalogue: &'static [Entry],
    sim: Sim,
    declared: Declared,
    /// What the daemon was last told.
    told: Declared,
    watched: bool,
    disks: Vec<Journal>,
    rng: fastrand::Rng,
    /// Resources of others, as they were when they had settled.
    foreign: BTreeMap<(&'static str, String), Option<Value>>,
    /// Whether a disk was lost: what is not declared any more may stay then.
    forgot: bool,
    checked: usize,
    /// What was sent, and what is held up, at the last check.
    acts: (usize, usize),
}

/// Plays a history; the hash of all that was sent and shown, or what was violated.
pub(crate) fn play(history: &History) -> Result<u64, String> {
    let catalogue = history.catalogue();
    let mut sim = start(history.admin, history.seed);
    sim.weather.keeps = history.theme == Theme::Stale;
    let declared = Declared::nothing(catalogue);
    let mut play = Play {
        history: history.clone(),
        catalogue,
        sim,
        told: declared.clone(),
        declared,
        watched: true,
        disks: Vec::new(),
        rng: fastrand::Rng::with_seed(history.seed ^ 0x5eed),
        foreign: BTreeMap::new(),
        forgot: false,
        checked: 0,
        acts: (0, 0),
    };
    for op in &history.ops {
        play.happen(op);
        play.check()
            .map_err(|why| format!("after {op:?}: {why}\n{}", play.sim.trace.join("\n")))?;
    }
    play.end()
        .map_err(|why| format!("at the end: {why}\n{}", play.sim.trace.join("\n")))?;
    let mut hasher = DefaultHasher::new();
    play.sim.trace.hash(&mut hasher);
    play.shown().hash(&mut hasher);
    Ok(hasher.finish())
}

fn start(admin: bool, seed: u64) -> Sim {
    let mut sim = if admin {
        Sim::of_admin(seed)
    } else {
        Sim::new(seed)
    };
    sim.settings.prune_allow_empty = true;
    sim.settings.prune_data_grace = 2 * MINUTE;
    sim.settings.poll_interval = Duration::from_secs([30, 60, 120, 240][(seed % 4) as usize]);
    sim.restart();
    sim
}

impl Play {
    fn happen(&mut self, op: &Op) {
        match *op {
            Op::Toggle(object) => {
                self.declared.toggle(self.catalogue, object);
                self.edited();
            }
            Op::Vary(object) => {
                self.declared.vary(object);
                self.edited();
            }
            Op::Break(object) => {
                self.declared.broken = Some(object);
                self.tell();
            }
            Op::Watch(watched) => {
                self.watched = watched;
                if watched {
                    self.tell();
                }
            }
            Op::HandDelete(object) => {
                if let Some((path, _)) = self.resource(object) {
                    self.by_hand("DELETE", &path, Value::Null);
                }
            }
            Op::HandRename(object) => {
                let name = format!("renamed {}", self.rng.u32(..));
                let wrapper = self.catalogue[object].wrapper;
                if let Some((path, _)) = self.resource(object)
                    && !matches!(wrapper, "" | "image" | "floatingip")
                {
                    self.by_hand("PUT", &path, json!({wrapper: {"name": name}}));
                }
            }
            Op::LookAlike(object) => self.look_alike(object),
            Op::Request(after, fault) => {
                let number = self.sim.sent() + after;
                self.sim.weather.requests.insert(number, fault);
            }
            Op::Write(after, how) => {
                let number = self.sim.recorded + after;
                self.sim.weather.writes.insert(number, how);
            }
            Op::Look(object, view, looks) => {
                let kind = self.catalogue[object].key.split_once('/').unwrap().0;
                let kind = kinds::find(kind).unwrap().name();
                self.sim.weather.views.insert(kind, (view, looks));
            }
            Op::Unfiltered(is) => self.sim.weather.unfiltered = is && !self.history.admin,
            Op::Restart => self.restart(),
            Op::Run(seconds) => self.run(Duration::from_secs(seconds)),
        }
    }

    fn edited(&mut self) {
        self.declared.broken = None;
        if self.watched {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = self.declared.clone();
        self.sim.declare(&self.declared.files(self.catalogue));
    }

    fn run(&mut self, span: Duration) {
        let end = self.sim.now + span;
        while self.sim.now < end {
            let left = end.duration_since(self.sim.now).unsigned_abs();
            self.sim.run_for(left);
            if !self.sim.crashed {
                return;
            }
            self.restart();
        }
    }

    /// The daemon is started again, with what is left of its disk.
    fn restart(&mut self) {
        if self.history.theme == Theme::Disk {
            match self.rng.u8(..3) {
                0 => {
                    self.forgot = true;
                    self.sim.disk = Journal::default();
                }
                1 if !self.disks.is_empty() => {
                    self.forgot = true;
                    let back = self.rng.usize(..self.disks.len());
                    self.sim.disk = self.disks[back].clone();
                }
                _ => {}
            }
        }
        self.sim.restart();
    }

    /// Where the resource of an object is, and its id.
    fn resource(&mut self, object: usize) -> Option<(String, String)> {
        let entry = &self.catalogue[object];
        if entry.path.is_empty() {
            return None;
        }
        let (kind, name) = entry.key.split_once('/').unwrap();
        let key = Key::new(kind, "default", name);
        let id = self
            .sim
            .engine
            .snapshot()
            .objects
            .get(&key)?
            .status
            .id
            .clone()?;
        let path = entry.path.replace("{project}", &self.sim.project());
        Some((format!("{path}/{id}"), id))
    }

    /// What a person does may be refused.
    fn by_hand(&mut self, method: &str, path: &str, body: Value) -> Option<Value> {
        let (status, answer) = self.sim.try_by_hand(method, path, body);
        (status < 300).then_some(answer)
    }

    fn look_alike(&mut self, object: usize) {
        let entry = &self.catalogue[object];
        let (kind, name) = entry.key.split_once('/').unwrap();
        let kind = kinds::find(kind).unwrap().name();
        let body = match kind {
            "Volume" => json!({"volume": {"name": name, "size": 1}}),
            "Network" => json!({"network": {"name": name}}),
            "SecurityGroup" => json!({"security_group": {"name": name}}),
            "Router" => json!({"router": {"name": name}}),
            "ServerGroup" => json!({"server_group": {"name": name, "policy": "affinity"}}),
            _ => return,
        };
        let path = entry.path.replace("{project}", &self.sim.project());
        if let Some(answer) = self.by_hand("POST", &path, body) {
            let id = answer.as_object().unwrap().values().next().unwrap()["id"].clone();
            let id = id.as_str().unwrap().to_owned();
            self.foreign.insert((kind, id), None);
        }
    }

    /// What must hold at every moment.
    fn check(&mut self) -> Result<(), String> {
        if self.sim.crashed {
            self.restart();
        }
        if !self.has_acted() {
            return Ok(());
        }
        for (key, ids) in self.copies() {
            if ids.len() > 1 {
                return Err(format!("{key} is there {} times: {ids:?}", ids.len()));
            }
        }
        self.check_trace()?;
        self.check_foreign(false)?;
        if !self.history.theme.lies()
            && let Some(disk) = Some(self.sim.disk.clone()).filter(|it| !it.records.is_empty())
        {
            self.disks.push(disk);
        }
        self.check_secrets()
    }

    /// Has the daemon, or a request of it that was held up, done anything since the last check, or
    /// is there something of others that was not seen yet?
    fn has_acted(&mut self) -> bool {
        let acts = (self.sim.trace.len(), self.sim.weather.late.len());
        let acted = std::mem::replace(&mut self.acts, acts) != acts;
        acted || self.foreign.values().any(Option::is_none)
    }

    /// The ids of all that carries our marker, by what it is marked with.
    fn copies(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut copies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry_kind in self.kinds() {
            let kind = kinds::find(entry_kind).unwrap();
            for item in self.sim.items(entry_kind) {
                let found = kind.look(item).unwrap();
                if let Some(marker) = found.marker {
                    let key = format!("{entry_kind} {}", marker.uid);
                    copies.entry(key).or_default().push(found.id);
                }
            }
        }
        copies
    }

    fn kinds(&self) -> BTreeSet<&'static str> {
        let kind = |it: &Entry| it.key.split_once('/').unwrap().0;
        let names: BTreeSet<&str> = self.catalogue.iter().map(kind).collect();
        KINDS
            .iter()
            .map(|it| it.name())
            .filter(|it| names.contains(it))
            .collect()
    }

    /// Nothing of others is written, and nothing declared is deleted without leave.
    fn check_trace(&mut self) -> Result<(), String> {
        let told = self.told.keys(self.catalogue);
        for line in &self.sim.trace[self.checked..] {
            if line.contains(" GET ") {
                continue;
            }
            let named = |(_, id): &&(&str, String)| line.contains(id.as_str());
            if let Some((kind, id)) = self.foreign.keys().find(named) {
                return Err(format!(
                    "a {kind} of somebody else ({id}) was written: {line}"
                ));
            }
            let Some((key, _)) = line.split_once(": delete ") else {
                continue;
            };
            let key = key.replacen("/default/", "/", 1);
            // `#1` is another incarnation; an image without data is made anew; one has leave.
            let may = key.contains('#') || key == "ServerGroup/allow" || key.starts_with("Image/");
            if told.contains(key.as_str()) && !may {
                return Err(format!("it is declared, and was deleted: {line}"));
            }
        }
        self.checked = self.sim.trace.len();
        Ok(())
    }

    fn check_foreign(&mut self, settled: bool) -> Result<(), String> {
        let kinds: BTreeSet<&'static str> = self.foreign.keys().map(|(kind, _)| *kind).collect();
        for kind in kinds {
            let items = self.sim.items(kind);
            for ((_, id), before) in self.foreign.iter_mut().filter(|((of, _), _)| *of == kind) {
                let item = items.iter().find(|item| item["id"] == json!(id));
                let Some(item) = item else {
                    return Err(format!("the {kind} {id} of somebody else is gone"));
                };
                match before {
                    Some(before) if before != item => {
                        return Err(format!("{before} of somebody else became {item}"));
                    }
                    Some(_) => {}
                    None if settled || item["status"] != "creating" => *before = Some(item.clone()),
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn shown(&self) -> String {
        serde_json::to_string(&self.sim.engine.snapshot()).unwrap()
    }

    fn check_secrets(&self) -> Result<(), String> {
        let journal = format!("{:?}", self.sim.disk);
        let told = self.sim.trace.iter().any(|line| line.contains(CANARY));
        if told || journal.contains(CANARY) || self.shown().contains(CANARY) {
            return Err("a secret is shown".to_owned());
        }
        Ok(())
    }

    /// After the last trouble it becomes what is declared, says so truthfully, and then rests.
    fn end(&mut self) -> Result<(), String> {
        self.sim.weather.clear();
        self.declared.broken = None;
        self.tell();
        self.run(self.sim.settings.poll_interval + MINUTE);
        let patience = self.sim.now + 120 * MINUTE;
        while !self.sim.engine.snapshot().is_converged() && self.sim.now < patience {
            self.run(MINUTE);
        }
        self.check()?;
        self.check_foreign(true)?;
        let held_up = self.held_up();
        self.forgot |= held_up.is_some();
        if !self.sim.engine.snapshot().is_converged() && held_up.is_none() {
            return Err(format!("not converged: {:?}", self.sim.complaints()));
        }
        let tries: Vec<String> = held_up.iter().flatten().map(delete_of).collect();
        let before = self.sim.writes().len();
        self.run(4 * self.sim.settings.poll_interval);
        // What was held up is not sent now, whenever it is carried out.
        let is_another_try = |line: &&&String| {
            line.starts_with("late: ") || tries.iter().any(|it| line.starts_with(it))
        };
        let more = self.sim.writes().split_off(before);
        let more: Vec<_> = more.iter().filter(|it| !is_another_try(it)).collect();
        if !more.is_empty() {
            return Err(format!("it does not rest: {more:?}"));
        }
        self.check_truth()?;
        self.check_world()
    }

    /// All is as declared but for these, which a service does not let go: something uses them that was
    /// made since the journal that came back, or whose making the journal was not told of, and is not
    /// declared any more. It is nobody's to delete.
    fn held_up(&mut self) -> Option<Vec<Key>> {
        let is_left = self.doubted() && !self.sim.items("RouterInterface").is_empty();
        let snapshot = self.sim.engine.snapshot();
        let (going, staying): (Vec<_>, Vec<_>) =
            snapshot.objects.iter().partition(|(_, it)| it.deleting);
        let is_done = staying
            .iter()
            .all(|(_, it)| it.status.is_available() && it.status.is_up_to_date());
        let is_refused = going.iter().all(|(_, it)| {
            let why = it.status.condition("Progressing");
            let is_used = why.is_some_and(|it| it.message.contains("answered 409"));
            it.reason == "Dependents" || it.reason == "Backoff" && is_used
        });
        let keys = going.into_iter().map(|(key, _)| key.clone());
        ((self.forgot || is_left) && is_done && is_refused).then(|| keys.collect())
    }

    /// Was the journal not told of what was made?
    fn doubted(&self) -> bool {
        let doubts = |op: &Op| match op {
            Op::Request(_, fault) => !matches!(fault, Fault::NotSent | Fault::Refused),
            Op::Write(..) => true,
            _ => false,
        };
        self.history.ops.iter().any(doubts)
    }

    /// What is said to be available is there.
    fn check_truth(&mut self) -> Result<(), String> {
        let snapshot = self.sim.engine.snapshot();
        for (key, object) in &snapshot.objects {
            if !object.status.is_available() {
                continue;
            }
            let kind = kinds::find(&key.kind).unwrap();
            let Some(id) = object.status.id.clone() else {
                return Err(format!("{key} is available and has no id"));
            };
            let mut found = self.sim.items(kind.name()).into_iter();
            if !found.any(|item| kind.look(item).is_ok_and(|it| it.id == id)) {
                return Err(format!(
                    "{key} is said to be available, and {id} is not there"
                ));
            }
        }
        Ok(())
    }

    /// The kind whose manifest says no description now: what it was stays, as all that is not said.
    fn silent(&self) -> Option<&'static str> {
        let at = self
            .catalogue
            .iter()
            .position(|it| it.key == "FloatingIP/f")?;
        (self.declared.variants[at] == Some(0)).then_some("FloatingIP")
    }

    /// The world is the same as if only the last manifests had ever been there.
    fn check_world(&mut self) -> Result<(), String> {
        let mut fresh = start(self.history.admin, self.history.seed);
        fresh.declare(&self.declared.files(self.catalogue));
        fresh.run_until_rest(120 * MINUTE);
        fresh.assert_converged();
        let silent = self.silent();
        let expected = essence(&mut fresh, self.history.admin, &BTreeMap::new(), silent);
        let foreign = std::mem::take(&mut self.foreign);
        let have = essence(&mut self.sim, self.history.admin, &foreign, silent);
        self.foreign = foreign;
        let count = |of: &BTreeMap<String, usize>, name: &str| of.get(name).copied().unwrap_or(0);
        for (name, number) in &expected {
            if count(&have, name) < *number {
                return Err(format!("{name} is missing; there is {have:#?}"));
            }
        }
        if !self.forgot {
            for (name, number) in &have {
                // What has no marker and may be a stranger's is left alone.
                let kind = kinds::find(name.split(' ').next().unwrap()).unwrap();
                let may_be_ours = kind.marker() == MarkerPlace::NaturalKey && self.doubted();
                if count(&expected, name) < *number && !may_be_ours {
                    return Err(format!("{name} is too much; there should be {expected:#?}"));
                }
            }
        }
        Ok(())
    }
}

/// How the trace begins to tell of it.
fn delete_of(key: &Key) -> String {
    format!("{key}: delete ")
}

impl Theme {
    /// Do looks show what is not so?
    const fn lies(self) -> bool {
        matches!(self, Self::Stale | Self::Omitted)
    }
}

/// What there is, without what differs from run to run.
fn essence(
    sim: &mut Sim,
    admin: bool,
    foreign: &BTreeMap<(&'static str, String), Option<Value>>,
    silent: Option<&str>,
) -> BTreeMap<String, usize> {
    let mut essence: BTreeMap<String, usize> = BTreeMap::new();
    let shown = KINDS
        .iter()
        .filter(|kind| admin || kind.service() != Service::Identity);
    for kind in shown {
        for item in sim.items(kind.name()) {
            if item["id"]
                .as_str()
                .is_some_and(|id| foreign.contains_key(&(kind.name(), id.to_owned())))
            {
                continue;
            }
            let mut fields = vec![kind.name().to_owned()];
            for field in [
                "size", "status", "min_disk", "policy", "vcpus", "cidr", "tags",
            ] {
                fields.push(item[field].to_string());
            }
            fields.push(item["metadata"]["k"].to_string());
            // The interfaces of routers are told of as what they are.
            if kind.name() == "Port" && item["device_owner"] == "network:router_interface" {
                continue;
            }
            let found = kind.look(item.clone()).unwrap();
            fields.push(found.name);
            let description = match silent == Some(kind.name()) {
                true => "",
                false => item["description"].as_str().unwrap_or_default(),
            };
            fields.push(
                description
                    .split('[')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            );
            let rules = item["security_group_rules"].as_array();
            let mut rules: Vec<String> = rules
                .into_iter()
                .flatten()
                .map(|it| format!("{} {}", it["direction"], it["port_range_min"]))
                .collect();
            rules.sort();
            fields.extend(rules);
            *essence.entry(fields.join(" ")).or_default() += 1;
        }
    }
    essence
}
