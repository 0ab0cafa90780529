//! What the page says, made of a picture: words and links, no markup.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::graph::{Drawing, Thing, draw};
use crate::daemon::Picture;
use crate::engine::snapshot::{ObjectView, Snapshot};
use crate::engine::status::Truth;
use crate::manifest::Key;

/// So many objects are listed on one page,
const LISTED: usize = 500;
/// and drawn in one picture.
const DRAWN: usize = 250;
/// So many problems are shown.
const PROBLEMS: usize = 50;

/// What of all is wanted: from the address of the page.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// A part of a name or a kind.
    pub(super) name: String,
    /// A state's word.
    pub(super) state: String,
    /// A namespace.
    pub(super) namespace: String,
}

/// How an object is, in one word and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Blocked,
    Failing,
    Waiting,
    Progressing,
    Deleting,
    Suspended,
    Off,
    Available,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Blocked,
        Self::Failing,
        Self::Waiting,
        Self::Progressing,
        Self::Deleting,
        Self::Suspended,
        Self::Off,
        Self::Available,
    ];

    fn of(object: &ObjectView) -> Self {
        let reason = |kind| object.status.condition(kind).map(|it| it.reason);
        if object.status.condition("Blocked").is_some() {
            return Self::Blocked;
        }
        if object.deleting {
            return Self::Deleting;
        }
        if object.status.condition("Suspended").is_some() {
            return Self::Suspended;
        }
        if object.status.is_progressing() {
            return match (reason("Progressing"), object.reason) {
                (Some("TransientError"), _) => Self::Failing,
                (_, "Doing" | "FirstLook") => Self::Progressing,
                _ => Self::Waiting,
            };
        }
        if object.status.is_available() {
            Self::Available
        } else {
            Self::Off
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "Blocked",
            Self::Failing => "Failing",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::Deleting => "Deleting",
            Self::Suspended => "Suspended",
            Self::Off => "Off",
            Self::Available => "Available",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Blocked | Self::Failing => "bad",
            Self::Waiting => "waiting",
            Self::Progressing | Self::Deleting => "moving",
            Self::Suspended | Self::Off => "off",
            Self::Available => "ok",
        }
    }
}

/// What every page has.
#[derive(Debug, Serialize)]
struct Frame {
    title: String,
    page: &'static str,
    version: &'static str,
    notices: Vec<Notice>,
}

#[derive(Debug, Serialize)]
struct Notice {
    tone: &'static str,
    title: String,
    text: String,
}

impl Frame {
    fn new(picture: &Picture, title: impl Into<String>, page: &'static str) -> Self {
        let snapshot = &picture.snapshot;
        let mut notices = Vec::new();
        let mut notice = |tone, title: String, text: String| {
            notices.push(Notice { tone, title, text });
        };
        if !picture.loaded || !snapshot.looked {
            let text = "Not everything was looked at yet.";
            notice("moving", "Starting.".to_owned(), text.to_owned());
        }
        if let Some(why) = &snapshot.paused {
            notice("waiting", "Nothing is written.".to_owned(), why.clone());
        }
        if let Some(frozen) = &snapshot.frozen {
            let text = format!(
                "{} of {} managed objects are declared no more. If that is meant: stackward approve {}",
                frozen.objects.len(),
                frozen.managed,
                frozen.hash
            );
            notice("bad", "Deletions are held up.".to_owned(), text);
        }
        for (scope, why) in &picture.refused {
            notice(
                "bad",
                format!("Cloud {scope} refuses the credentials."),
                why.clone(),
            );
        }
        Self {
            title: title.into(),
            page,
            version: env!("CARGO_PKG_VERSION"),
            notices,
        }
    }
}

/// A moment, and how long ago it was.
#[derive(Debug, Serialize)]
struct Moment {
    time: String,
    ago: String,
}

impl Moment {
    fn new(at: Timestamp, now: Timestamp) -> Self {
        let seconds = now.duration_since(at).as_secs().max(0);
        let ago = match seconds {
            0..60 => format!("{seconds} s ago"),
            60..3600 => format!("{} min ago", seconds / 60),
            3600..172_800 => format!("{} h ago", seconds / 3600),
            _ => format!("{} days ago", seconds / 86_400),
        };
        // Whole seconds: more says nothing.
        let time = Timestamp::from_second(at.as_second())
            .unwrap_or(at)
            .to_string();
        Self { time, ago }
    }
}

/// The list of all objects.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    #[serde(flatten)]
    frame: Frame,
    counts: Vec<Count>,
    filter: Filter,
    filtered: bool,
    problems: Vec<String>,
    groups: Vec<Group>,
    more: usize,
}

/// How many there are of something, and where they are listed.
#[derive(Debug, Serialize)]
struct Count {
    state: &'static str,
    name: String,
    number: usize,
    link: String,
    chosen: bool,
}

#[derive(Debug, Serialize)]
struct Group {
    cloud: String,
    namespace: String,
    error: Option<String>,
    objects: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    kind: String,
    name: String,
    link: String,
    state: &'static str,
    word: &'static str,
    why: String,
    changed: Option<Moment>,
}

impl Overview {
    pub(super) fn new(picture: &Picture, filter: &Filter, now: Timestamp) -> Self {
        let snapshot = &picture.snapshot;
        let mut numbers: BTreeMap<State, usize> = BTreeMap::new();
        let mut groups: BTreeMap<(String, String), Vec<Line>> = BTreeMap::new();
        let (mut listed, mut more) = (0, 0);
        for (key, object) in &snapshot.objects {
            let state = State::of(object);
            *numbers.entry(state).or_default() += 1;
            if !filter.shows(key, state) {
                continue;
            }
            if listed == LISTED {
                more += 1;
                continue;
            }
            listed += 1;
            let group = (object.scope.to_string(), key.namespace.to_string());
            groups.entry(group).or_default().push(Line {
                kind: key.kind.to_string(),
                name: key.name.to_string(),
                link: link(key),
                state: state.colour(),
                word: state.word(),
                why: why(object, state),
                changed: changed(object).map(|at| Moment::new(at, now)),
            });
        }
        let error = |cloud: &str| {
            let mut scopes = snapshot.scopes.iter();
            let scope = scopes.find(|(scope, _)| scope.to_string() == cloud);
            scope.and_then(|(_, view)| view.error.clone())
        };
        let groups = groups
            .into_iter()
            .map(|((cloud, namespace), objects)| Group {
                error: error(&cloud),
                cloud,
                namespace,
                objects,
            });
        let all = Count {
            state: "",
            name: "All".to_owned(),
            number: snapshot.objects.len(),
            link: "/".to_owned(),
            chosen: filter.state.is_empty(),
        };
        let of_state = |state: &State| {
            Some(Count {
                state: state.colour(),
                name: state.word().to_owned(),
                number: *numbers.get(state)?,
                link: format!("/?state={}", state.word()),
                chosen: filter.state == state.word(),
            })
        };
        Self {
            frame: Frame::new(picture, "Objects", "overview"),
            counts: std::iter::once(all)
                .chain(State::ALL.iter().filter_map(of_state))
                .collect(),
            filter: filter.clone(),
            filtered: !filter.name.is_empty() || !filter.state.is_empty(),
            problems: snapshot
                .problems
                .iter()
                .take(PROBLEMS)
                .map(ToString::to_string)
                .collect(),
            groups: groups.collect(),
            more,
        }
    }
}

impl Filter {
    fn shows(&self, key: &Key, state: State) -> bool {
        let part = self.name.trim().to_lowercase();
        (self.state.is_empty() || self.state == state.word())
            && (part.is_empty()
                || key.name.to_lowercase().contains(&part)
                || key.kind.to_lowercase().contains(&part))
    }
}

/// What refers to what.
#[derive(Debug, Serialize)]
pub(super) struct GraphPage {
    #[serde(flatten)]
    frame: Frame,
    namespaces: Vec<Count>,
    too_many: usize,
    drawing: Option<Drawing>,
}

impl GraphPage {
    pub(super) fn new(picture: &Picture, filter: &Filter) -> Self {
        let snapshot = &picture.snapshot;
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        for key in snapshot.objects.keys() {
            *numbers.entry(&*key.namespace).or_default() += 1;
        }
        let all = Count {
            state: "",
            name: "All".to_owned(),
            number: snapshot.objects.len(),
            link: "/graph".to_owned(),
            chosen: filter.namespace.is_empty(),
        };
        let namespaces = numbers.iter().map(|(namespace, number)| Count {
            state: "",
            name: (*namespace).to_owned(),
            number: *number,
            link: format!("/graph?namespace={}", encoded(namespace)),
            chosen: filter.namespace == **namespace,
        });
        let is_wanted =
            |key: &&Key| filter.namespace.is_empty() || filter.namespace == *key.namespace;
        let keys: BTreeSet<&Key> = snapshot.objects.keys().filter(is_wanted).collect();
        let fits = !keys.is_empty() && keys.len() <= DRAWN;
        Self {
            frame: Frame::new(picture, "Graph", "graph"),
            namespaces: std::iter::once(all).chain(namespaces).collect(),
            too_many: if keys.len() > DRAWN { keys.len() } else { 0 },
            drawing: fits.then(|| drawing(snapshot, &keys)),
        }
    }
}

/// One object.
#[derive(Debug, Serialize)]
pub(super) struct ObjectPage {
    #[serde(flatten)]
    frame: Frame,
    kind: String,
    name: String,
    namespace: String,
    state: &'static str,
    word: &'static str,
    why: String,
    id: Option<String>,
    cloud: String,
    origin: Option<String>,
    changed: Option<Moment>,
    differs: Vec<Differs>,
    conditions: Vec<Condition>,
    events: Vec<Happened>,
    drawing: Option<Drawing>,
    resource: Option<String>,
}

#[derive(Debug, Serialize)]
struct Differs {
    field: &'static str,
    want: String,
    have: String,
    outlook: String,
}

#[derive(Debug, Serialize)]
struct Condition {
    kind: &'static str,
    status: String,
    reason: &'static str,
    message: String,
    since: Moment,
}

#[derive(Debug, Serialize)]
struct Happened {
    at: Moment,
    condition: &'static str,
    status: String,
    reason: &'static str,
    message: String,
}

impl ObjectPage {
    /// `None` if there is no such object.
    pub(super) fn new(picture: &Picture, key: &Key, now: Timestamp) -> Option<Self> {
        let snapshot = &picture.snapshot;
        let object = snapshot.objects.get(key)?;
        let state = State::of(object);
        let near = around(snapshot, key);
        let differs = object.drift.iter().map(|it| Differs {
            field: it.field,
            want: in_one_line(&it.want),
            have: in_one_line(&it.have),
            outlook: it.outlook.clone(),
        });
        let conditions = object.status.conditions.iter().map(|it| Condition {
            kind: it.kind,
            status: truth(it.status),
            reason: it.reason,
            message: it.message.clone(),
            since: Moment::new(it.last_transition_time, now),
        });
        let events = object.status.history.iter().rev().map(|it| Happened {
            at: Moment::new(it.time, now),
            condition: it.condition,
            status: truth(it.status),
            reason: it.reason,
            message: it.message.clone(),
        });
        let resource = &object.status.resource;
        Some(Self {
            frame: Frame::new(picture, format!("{} {}", key.kind, key.name), "object"),
            kind: key.kind.to_string(),
            name: key.name.to_string(),
            namespace: key.namespace.to_string(),
            state: state.colour(),
            word: state.word(),
            why: why(object, state),
            id: object.status.id.clone(),
            cloud: object.scope.to_string(),
            origin: object.origin.clone(),
            changed: changed(object).map(|at| Moment::new(at, now)),
            differs: differs.collect(),
            conditions: conditions.collect(),
            events: events.collect(),
            drawing: (near.len() > 1 && near.len() <= DRAWN).then(|| drawing(snapshot, &near)),
            resource: (!resource.is_null()).then(|| format!("{:#}", resource.value())),
        })
    }
}

/// That there is no such object.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    #[serde(flatten)]
    frame: Frame,
    kind: String,
    name: String,
    namespace: String,
}

impl Missing {
    pub(super) fn new(picture: &Picture, key: &Key) -> Self {
        Self {
            frame: Frame::new(picture, "Not here", "object"),
            kind: key.kind.to_string(),
            name: key.name.to_string(),
            namespace: key.namespace.to_string(),
        }
    }
}

/// The object, all that it needs, and what needs it itself.
fn around<'s>(snapshot: &'s Snapshot, key: &Key) -> BTreeSet<&'s Key> {
    let mut near: BTreeSet<&Key> = BTreeSet::new();
    let mut open: Vec<&Key> = vec![key];
    while let Some(next) = open.pop() {
        if let Some((known, object)) = snapshot.objects.get_key_value(next)
            && near.insert(known)
        {
            open.extend(&object.refers_to);
        }
    }
    let users = snapshot.objects.iter();
    near.extend(
        users
            .filter(|(_, it)| it.refers_to.contains(key))
            .map(|(key, _)| key),
    );
    near
}

fn drawing(snapshot: &Snapshot, keys: &BTreeSet<&Key>) -> Drawing {
    let things = keys.iter().filter_map(|key| {
        let object = snapshot.objects.get(*key)?;
        let state = State::of(object);
        let thing = Thing {
            link: link(key),
            state: state.colour(),
            word: state.word(),
            needs: object.refers_to.clone(),
        };
        Some(((*key).clone(), thing))
    });
    draw(&things.collect())
}

/// Why it is as it is; nothing when there is nothing to say.
fn why(object: &ObjectView, state: State) -> String {
    let kind = match state {
        State::Blocked => "Blocked",
        State::Suspended => "Suspended",
        State::Off => "Available",
        State::Available => return drifted(object),
        _ => "Progressing",
    };
    let condition = object.status.condition(kind);
    condition.map(|it| it.message.clone()).unwrap_or_default()
}

fn drifted(object: &ObjectView) -> String {
    let condition = object.status.condition("Drifted");
    condition.map(|it| it.message.clone()).unwrap_or_default()
}

/// When a condition last changed.
fn changed(object: &ObjectView) -> Option<Timestamp> {
    let times = object
        .status
        .conditions
        .iter()
        .map(|it| it.last_transition_time);
    times.max()
}

fn truth(truth: Truth) -> String {
    format!("{truth:?}")
}

fn in_one_line(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn link(key: &Key) -> String {
    let (kind, namespace, name) = (&key.kind, &key.namespace, &key.name);
    format!(
        "/objects/{}/{}/{}",
        encoded(kind),
        encoded(namespace),
        encoded(name)
    )
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
