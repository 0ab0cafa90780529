//! `stackward inventory`: what the cloud holds of a kind, managed or not, and by whom.
//!
//! It asks the cloud itself, and works without a daemon. Whether something is ours is told by the
//! marker that it carries and by the journal; with a daemon that has the journal open, by its status.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cloud::environment::Environment;
use crate::config::{CloudChoice, default_state};
use crate::engine::journal::Journal;
use crate::kinds::MarkerPlace;
use crate::kinds::call::{List, Service};
use crate::kinds::erased::{AnyKind, Found};
use crate::kinds::health::Health;
use crate::kinds::marker::Owner;
use crate::manifest::Key;
use crate::store::{Store, StoreError};

use super::failure::Advised;
use super::output::{self, Output, Row};
use super::{connect, embedded, status};

const EXAMPLES: &str = "\
Examples:
  stackward inventory servers --cloud mycloud
  stackward inventory Volume --cloud mycloud -o wide
  stackward inventory Server --all-projects --cloud admin
  stackward inventory Network -o json | jq '.items[] | select(.managed == \"no\")'

MANAGED is `yes` for what this stackward made or adopted, `other` for what carries the mark of
another one, and `no` for everything else: nothing of that is ever changed.";

/// Show what the cloud holds of a kind, managed or not
///
/// Lists a collection as the cloud has it, and says of each resource whether this stackward manages
/// it, as which object, and whose it is otherwise. It only reads, and needs no daemon and no
/// manifests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inventory {
    /// The kind: Server, volumes, ...
    #[arg(value_name = "KIND")]
    kind: String,
    /// Cloud of clouds.yaml; `sandbox` simulates one inside of this process
    #[arg(long, short, value_name = "NAME", env = "OS_CLOUD")]
    cloud: Option<String>,
    /// Of all projects, not only of that of the credentials; takes an administrator
    #[arg(long, short = 'A')]
    all_projects: bool,
    #[command(flatten)]
    output: Output,
    /// The daemon's state directory [default: $STATE_DIRECTORY, else ~/.local/state/stackward]
    #[arg(long, value_name = "DIR", env = "STACKWARD_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Owner whose resources count as managed, if there is no journal that says so
    #[arg(long, value_name = "UUID", env = "STACKWARD_OWNER")]
    owner: Option<Uuid>,
    /// Address of a running daemon, which is asked when it has the journal open
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9797",
        env = "STACKWARD_ADDRESS"
    )]
    address: String,
}

impl Inventory {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let kind = connect::kind(&self.kind)?;
        let choice = CloudChoice::new(self.cloud.as_deref());
        let ours = self.ours(&choice).await?;
        let running = embedded::start(&choice).await?;
        let (cloud, place) = connect::open(&choice, running.as_ref(), None).await?;
        let list = listed(kind, self.all_projects);
        let items = cloud.list(&list).await.map_err(|error| {
            let hint = match error.status() {
                Some(401 | 403) if self.all_projects => {
                    "--all-projects takes the role of an administrator; leave it out to see your own"
                }
                Some(401 | 403) => "the role of these credentials does not allow it",
                _ => "`stackward doctor` says whether the service can be reached",
            };
            Advised::error(format!("{} cannot be listed: {error}", kind.name()), hint)
        })?;
        let (mut found, mut strange) = (Vec::new(), Vec::new());
        for item in items {
            let id = item["id"].as_str().unwrap_or("an item").to_owned();
            match kind.look(item) {
                Ok(it) => found.push(it),
                Err(why) => strange.push(format!("{id}: {why}")),
            }
        }
        let project = place.project_id.as_deref();
        let is_wanted = |it: &Found| match (&it.project, project) {
            (Some(of), Some(own)) => self.all_projects || of == own,
            _ => true,
        };
        found.retain(is_wanted);
        found.sort_by(|a, b| (&a.project, &a.name, &a.id).cmp(&(&b.project, &b.name, &b.id)));
        let list = list_of(kind, &found, &ours, &strange);
        output::print(&list.text(self.output.form)?)?;
        if strange.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let hint = "please report it, with the version of the service";
        Err(Advised::error(
            format!("not understood: {}", strange.join("; ")),
            hint,
        ))
    }

    async fn ours(&self, choice: &CloudChoice) -> anyhow::Result<Ours> {
        let mut ours = Ours {
            owner: self.owner.map(|owner| Owner(owner).short()),
            ..Ours::default()
        };
        let environment = Environment::of_process();
        let variable = |name: &str| environment.var(name).map(str::to_owned);
        let directory = self.state_dir.clone().or_else(|| default_state(&variable));
        let Some(directory) = directory.filter(|_| *choice != CloudChoice::Sandbox) else {
            return Ok(ours);
        };
        match Store::peek(&directory) {
            Ok((journal, owner)) => ours.learn(&journal, self.owner.map(Owner).or(owner)),
            // A daemon is at work, and knows.
            Err(StoreError::InUse(_)) => match status::fetch(&self.address).await {
                Ok(status) => ours.ask(&status),
                Err(error) => ours.doubt = Some(format!("{error:#}")),
            },
            Err(error) => return Err(error.into()),
        }
        Ok(ours)
    }
}

/// What is ours, as far as it is known.
#[derive(Debug, Default)]
struct Ours {
    /// The owner as it stands in markers.
    owner: Option<u32>,
    /// Objects by the uid in their marker.
    by_uid: BTreeMap<Uuid, Key>,
    /// Objects by kind and id in the cloud.
    by_id: BTreeMap<(String, String), Key>,
    /// Why it is not known.
    doubt: Option<String>,
}

impl Ours {
    fn learn(&mut self, journal: &Journal, owner: Option<Owner>) {
        self.owner = owner.map(|owner| owner.short()).or(self.owner);
        for (key, record) in &journal.records {
            let object = key
                .as_incarnation()
                .map_or_else(|| key.clone(), |(it, _)| it);
            if let Some(owner) = owner {
                let uids = owner.uids(&object).map(|uid| (uid, object.clone()));
                self.by_uid.extend(uids);
            }
            if let Some(id) = &record.id {
                let of = (key.kind.to_string(), id.clone());
                self.by_id.insert(of, object.clone());
            }
        }
    }

    fn ask(&mut self, status: &Value) {
        for (key, object) in status["objects"].as_object().into_iter().flatten() {
            if let (Ok(key), Some(id)) = (key.parse::<Key>(), object["status"]["id"].as_str()) {
                self.by_id
                    .insert((key.kind.to_string(), id.to_owned()), key);
            }
        }
    }

    /// The object that a resource is managed as.
    fn object(&self, kind: &dyn AnyKind, found: &Found) -> Option<&Key> {
        let marked = found.marker.and_then(|marker| self.by_uid.get(&marker.uid));
        let by_id = || self.by_id.get(&(kind.name().to_owned(), found.id.clone()));
        marked.or_else(by_id)
    }

    fn verdict(&self, kind: &dyn AnyKind, found: &Found) -> &'static str {
        let is_ours = |marker: crate::kinds::marker::Marker| self.owner == Some(marker.owner);
        match found.marker {
            Some(marker) if is_ours(marker) => "yes",
            _ if self.object(kind, found).is_some() => "yes",
            Some(_) if self.owner.is_none() => "unknown",
            Some(_) => "other",
            None if self.doubt.is_some() && kind.marker() == MarkerPlace::NaturalKey => "unknown",
            None => "no",
        }
    }
}

/// The list of a kind, of all projects if that is wanted. Neutron, Glance and Keystone show an
/// administrator everything anyway.
fn listed(kind: &dyn AnyKind, all: bool) -> List {
    let mut list = kind.list();
    if !all {
        return list;
    }
    let parameter = match (kind.service(), kind.name()) {
        (Service::Compute, "ServerGroup") => Some(("all_projects", "True")),
        (Service::Compute, "Server") | (Service::BlockStorage, "Volume" | "VolumeSnapshot") => {
            Some(("all_tenants", "True"))
        }
        (Service::SharedFileSystem, _) => Some(("all_tenants", "1")),
        _ => None,
    };
    if let Some((name, value)) = parameter {
        list.query.retain(|(known, _)| known != name);
        list.query.push((name.to_owned(), value.to_owned()));
    }
    list
}

const COLUMNS: &[(&str, bool)] = &[
    ("NAME", false),
    ("ID", false),
    ("STATE", false),
    ("MANAGED", false),
    ("OBJECT", false),
    ("OWNER", true),
    ("PROJECT", true),
];

fn list_of(
    kind: &dyn AnyKind,
    found: &[Found],
    ours: &Ours,
    strange: &[String],
) -> output::List<'static> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut rows, mut items) = (Vec::new(), Vec::new());
    for it in found {
        let managed = ours.verdict(kind, it);
        *counts.entry(managed).or_default() += 1;
        let owner = it.marker.map(|marker| format!("{:08x}", marker.owner));
        let object = ours.object(kind, it).map(|key| key.short().to_string());
        let (state, fault) = state(&it.health);
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        rows.push(Row {
            name: format!("{}/{}", kind.name(), it.id),
            cells: vec![
                if it.name.is_empty() {
                    "-".to_owned()
                } else {
                    it.name.clone()
                },
                it.id.clone(),
                state.clone(),
                managed.to_owned(),
                shown(&object),
                shown(&owner),
                shown(&it.project),
            ],
        });
        items.push(json!({
            "kind": kind.name(), "id": it.id, "name": it.name, "project": it.project,
            "state": state, "fault": fault, "managed": managed, "object": object, "owner": owner,
        }));
    }
    let count = |word| counts.get(word).copied().unwrap_or_default();
    let mut summary = format!(
        "{}{} of kind {}: {} managed here, {} by another stackward, {} by none",
        if found.is_empty() { "" } else { "\n" },
        found.len(),
        kind.name(),
        count("yes"),
        count("other"),
        count("no"),
    );
    if count("unknown") > 0 {
        summary.push_str(&format!(", {} unknown", count("unknown")));
    }
    summary.push_str(".\n");
    if let Some(doubt) = &ours.doubt {
        summary.push_str(&format!(
            "A daemon has the journal open and cannot be asked ({doubt}): --address says where it is.\n"
        ));
    }
    output::List {
        columns: COLUMNS,
        rows,
        document: json!({"kind": kind.name(), "items": items, "notUnderstood": strange}),
        summary,
    }
}

/// The state in a word, and what the service says of it.
fn state(health: &Health) -> (String, Option<String>) {
    match health {
        Health::Ready => ("Ready".to_owned(), None),
        Health::Off(state) | Health::Moving(state) => (state.clone(), None),
        Health::Stuck { state, fault } => (state.clone(), fault.clone()),
        Health::Leaving => ("Leaving".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_managed_is_told_by_marker_and_journal() {
        let kind = connect::kind("Volume").unwrap();
        let owner = Owner(Uuid::from_u128(7 << 96));
        let other = Owner(Uuid::from_u128(8 << 96));
        let key = Key::new("Volume", "default", "data");
        let volume = |id: &str, marker: Option<String>| {
            let mut item = json!({"id": id, "name": id, "size": 1, "status": "available",
                                  "metadata": {}, "attachments": []});
            if let Some(marker) = marker {
                item["metadata"]["stackward.marker"] = json!(marker);
            }
            kind.look(item).unwrap()
        };
        let found = [
            volume("made", Some(owner.marker(&key, 1).to_string())),
            volume("theirs", Some(other.marker(&key, 1).to_string())),
            volume("free", None),
        ];
        let mut ours = Ours::default();
        let mut journal = Journal::default();
        let record = crate::engine::journal::Record::new(crate::engine::scope::Scope::new("c"));
        journal.records.insert(key, record);
        ours.learn(&journal, Some(owner));
        let list = list_of(kind, &found, &ours, &[]);
        let managed: Vec<&str> = list.rows.iter().map(|row| row.cells[3].as_str()).collect();
        assert_eq!(managed, ["yes", "other", "no"]);
        assert_eq!(list.rows[0].cells[4], "Volume/data");
        assert_eq!(list.rows[1].cells[5], "00000008");
        assert_eq!(
            list.summary,
            "\n3 of kind Volume: 1 managed here, 1 by another stackward, 1 by none.\n"
        );
        let blind = list_of(kind, &found, &Ours::default(), &[]);
        assert_eq!(blind.rows[0].cells[3], "unknown");
        assert_eq!(blind.rows[2].cells[3], "no");
    }

    #[test]
    fn all_projects_are_asked_for_where_the_service_wants_to_be() {
        let query = |kind: &str| listed(connect::kind(kind).unwrap(), true).query;
        let wants = |kind: &str, name: &str| query(kind).iter().any(|(it, _)| it == name);
        assert!(wants("Server", "all_tenants") && wants("Volume", "all_tenants"));
        assert!(wants("ServerGroup", "all_projects") && wants("ShareNetwork", "all_tenants"));
        assert!(!wants("Network", "all_tenants"));
    }
}
