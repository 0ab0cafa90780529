//! `stackward export`: manifests of what exists, to bring a project under stackward.
//!
//! It only reads. What becomes of a resource is decided in `engine::export`.

#![expect(
    clippy::disallowed_methods,
    reason = "the manifests may be wanted as files"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::cloud::{self, Cloud};
use crate::config::CloudChoice;
use crate::engine::export::{
    self as exporting, Document, LeftOut, Wish, kinds_to_list, kinds_to_look_up, usual_kinds,
};
use crate::engine::inventory::{Inventory, Listing};
use crate::kinds::KINDS;
use crate::kinds::erased::AnyKind;
use crate::manifest::write::comment;

use super::failure::Advised;
use super::{connect, embedded};

const EXAMPLES: &str = "\
Examples:
  stackward export --cloud mycloud > project.yaml
  stackward export --cloud mycloud --output ./manifests
  stackward export --cloud mycloud --kind Network,Subnet --kind Router
  stackward export --cloud mycloud --project staging --suspend

It only reads. Each object adopts the resource that it was made from: `stackward plan` shows that
and nothing else, and `stackward run` writes the marks of ownership. Kinds that belong to the cloud
(flavors, users, projects, ...) are exported when --kind names them.";

/// Print manifests of what exists, to take it over
///
/// Writes an object for each resource of a project, with references between them by name, and with
/// consent to adopt the resource that it was made from. What is left out is said, with the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Export {
    /// Cloud of clouds.yaml
    #[arg(long, short, value_name = "NAME", env = "OS_CLOUD")]
    cloud: Option<String>,
    /// Another project than that of the credentials, by name or id; the user needs a role in it
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// These kinds only (repeatable) [default: all that belong to a project]
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Write one file per kind into this directory, instead of stdout; no file is overwritten
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Leave `adopt` out: manifests that make the same anew, in another project
    #[arg(long)]
    no_adopt: bool,
    /// Add `suspend: true`: nothing is changed until that line is removed
    #[arg(long)]
    suspend: bool,
}

impl Export {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let named = named_kinds(&self.kinds)?;
        let choice = CloudChoice::new(self.cloud.as_deref());
        let Sight {
            place,
            exported,
            faults,
            absent,
        } = look(&Wanted {
            choice: &choice,
            project: self.project.as_deref(),
            named,
            only: None,
            adopt: !self.no_adopt,
            suspend: self.suspend,
        })
        .await?;
        let said = Said {
            title: title(&place, exported.documents.len()),
            documents: exported.documents,
            left_out: exported.left_out,
            faults: &faults,
            absent: &absent,
        };
        match &self.output {
            None => anstream::stdout().write_all(said.text().as_bytes()),
            Some(directory) => {
                let files = said.write(directory)?;
                let written = format!("{} in {} below {}", said.title, files, directory.display());
                let text = format!("{written}.\n{}", said.remarks().replace("# ", ""));
                anstream::stdout().write_all(text.as_bytes())
            }
        }
        .context("cannot write to stdout")?;
        if faults.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let hint = "what could not be read is not in the export; everything else is";
        Err(Advised::error(faults.join("; "), hint))
    }
}

/// What of a cloud is to become manifests.
pub(super) struct Wanted<'a> {
    pub(super) choice: &'a CloudChoice,
    pub(super) project: Option<&'a str>,
    /// Kinds that were asked for by name; none for those of which every project has its own.
    pub(super) named: Vec<&'static dyn AnyKind>,
    /// Only what has this name or id.
    pub(super) only: Option<&'a str>,
    pub(super) adopt: bool,
    pub(super) suspend: bool,
}

/// What was seen of a cloud.
pub(super) struct Sight {
    pub(super) place: cloud::Scope,
    pub(super) exported: exporting::Export,
    pub(super) faults: Vec<String>,
    /// Kinds that this cloud does not have.
    absent: Vec<&'static str>,
}

/// Looks at a cloud, and turns what is there into manifests.
pub(super) async fn look(wanted: &Wanted<'_>) -> anyhow::Result<Sight> {
    let running = embedded::start(wanted.choice).await?;
    let (cloud, place) = connect::open(wanted.choice, running.as_ref(), wanted.project).await?;
    let scope = wanted.choice.scope();
    let wish = Wish {
        kinds: match wanted.named.is_empty() {
            true => usual_kinds(),
            false => wanted.named.clone(),
        },
        only: wanted.only,
        scope: &scope,
        project: place.project_id.as_deref().unwrap_or_default(),
        adopt: wanted.adopt,
        suspend: wanted.suspend,
    };
    let mut look = Look {
        cloud: &cloud,
        place: &place,
        wish: &wish,
        named: !wanted.named.is_empty(),
        inventory: Inventory::default(),
        faults: Vec::new(),
        absent: Vec::new(),
    };
    look.at(&kinds_to_list(&wish.kinds)).await;
    look.at(&kinds_to_look_up(&wish, &look.inventory)).await;
    let Look {
        inventory,
        faults,
        absent,
        ..
    } = look;
    let exported = exporting::export(&wish, &inventory);
    Ok(Sight {
        exported,
        faults,
        absent,
        place,
    })
}

fn named_kinds(names: &[String]) -> anyhow::Result<Vec<&'static dyn AnyKind>> {
    names.iter().map(|name| connect::kind(name)).collect()
}

fn title(place: &cloud::Scope, count: usize) -> String {
    let project = place.project_name.as_ref().or(place.project_id.as_ref());
    let whose = project.map(|it| format!(", project {it}"));
    comment(&format!(
        "{count} object{} of cloud {}{}",
        if count == 1 { "" } else { "s" },
        place.cloud,
        whose.unwrap_or_default()
    ))
}

/// What was seen so far.
struct Look<'a> {
    cloud: &'a Cloud,
    place: &'a cloud::Scope,
    wish: &'a Wish<'a>,
    /// The kinds were asked for by name: each has to be there.
    named: bool,
    inventory: Inventory,
    faults: Vec<String>,
    /// Kinds that this cloud does not have.
    absent: Vec<&'static str>,
}

impl Look<'_> {
    async fn at(&mut self, kinds: &[&'static dyn AnyKind]) {
        let cloud = self.cloud;
        let looks = kinds.iter().map(|kind| async move {
            let list = kind.list();
            (*kind, Timestamp::UNIX_EPOCH, cloud.list(&list).await)
        });
        for (kind, started_at, result) in join_all(looks).await {
            let is_wished = self.wish.kinds.iter().any(|it| it.name() == kind.name());
            let items = match result {
                Ok(items) => items,
                Err(error) => {
                    let no_service = !self.place.endpoints.contains_key(&kind.service());
                    let is_absent = no_service || error.is_not_found();
                    if is_wished && is_absent && !self.named {
                        self.absent.push(kind.name());
                    } else if is_wished {
                        let fault = format!("{} cannot be listed: {error}", kind.name());
                        self.faults.push(fault);
                    }
                    continue;
                }
            };
            let mut found = Vec::with_capacity(items.len());
            for item in items {
                let id = item["id"].as_str().unwrap_or("an item").to_owned();
                match kind.look(item) {
                    Ok(item) => found.push(item),
                    Err(why) if is_wished => {
                        let fault = format!("{} {id} is not understood: {why}", kind.name());
                        self.faults.push(fault);
                    }
                    Err(_) => {}
                }
            }
            let listing = Listing::new(started_at, found, Vec::new());
            // It is the first look at this collection, so there is none to doubt it.
            let believed = self
                .inventory
                .believe(self.wish.scope, kind.name(), listing, |_| true);
            self.faults.extend(believed.err());
        }
    }
}

/// What is printed.
struct Said<'a> {
    title: String,
    documents: Vec<Document>,
    left_out: Vec<LeftOut>,
    faults: &'a [String],
    absent: &'a [&'static str],
}

impl Said<'_> {
    fn text(&self) -> String {
        let mut text = format!("# {}.\n{}", self.title, self.remarks());
        for document in &self.documents {
            text.push_str("---\n");
            text.push_str(&document.text);
        }
        text
    }

    /// What is not here, and why.
    fn remarks(&self) -> String {
        let mut text = String::new();
        let mut groups: BTreeMap<(usize, &str), Vec<&str>> = BTreeMap::new();
        for it in &self.left_out {
            let place = KINDS.iter().position(|kind| kind.name() == it.kind);
            let group = groups.entry((place.unwrap_or_default(), &it.why));
            group.or_default().push(&it.which);
        }
        let mut say = |line: &str| {
            // Writing to a String does not fail.
            let _: Result<(), _> = writeln!(text, "# {}", comment(line));
        };
        for ((place, why), which) in groups {
            let kind = KINDS.get(place).map_or("", |kind| kind.name());
            say(&format!(
                "Not exported: {kind} {}: {why}.",
                which.join(", ")
            ));
        }
        if !self.absent.is_empty() {
            say(&format!("This cloud has no {}.", self.absent.join(", ")));
        }
        for fault in self.faults {
            say(&format!("INCOMPLETE: {fault}."));
        }
        text
    }

    /// Writes one file per kind; says how many.
    fn write(&self, directory: &Path) -> anyhow::Result<String> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for document in &self.documents {
            let text = files.entry(document.kind).or_default();
            if !text.is_empty() {
                text.push_str("---\n");
            }
            text.push_str(&document.text);
        }
        let path = |kind: &str| directory.join(format!("{}.yaml", kind.to_lowercase()));
        // Before the first one is written, so that it is all or nothing.
        if let Some(there) = files.keys().map(|kind| path(kind)).find(|it| it.exists()) {
            let hint = "choose an empty directory, and move over what you want to keep";
            let message = format!("{} is there already", there.display());
            return Err(Advised::error(message, hint));
        }
        for (kind, text) in &files {
            let path = path(kind);
            let failed = || format!("cannot write {}", path.display());
            let mut file = std::fs::File::create_new(&path).with_context(failed)?;
            file.write_all(text.as_bytes()).with_context(failed)?;
        }
        let count = files.len();
        Ok(format!("{count} file{}", if count == 1 { "" } else { "s" }))
    }
}
