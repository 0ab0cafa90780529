//! `stackward get`: objects of a running daemon, as its API tells them.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::changes::{Seen, follow};
use super::daemon::{Address, Answer, Daemon, JSON, TABLE};
use super::failure::Advised;
use super::output::{self, Form, Output};
use super::resources::{Place, Resources, Target};
use super::sheet::{Beside, Growing, Sheet};

const EXAMPLES: &str = "\
Examples:
  stackward get servers
  stackward get server db -o yaml
  stackward get volumes,snap -A -o wide       # several kinds, of all namespaces
  stackward get all -l app=blog
  stackward get servers -w                    # and what changes
  stackward get all -o name | xargs stackward reconcile

Kinds have plural and short names; `stackward explain` lists them, and events and namespaces are some
as well. The names and columns are those of kubectl, which can ask the same daemon.";

/// Show objects of a running daemon
///
/// What is declared and how it stands: whether it is Available, why not, its id in the cloud and its
/// age; with -o wide also what is in the way. -o json and yaml show the whole object with its
/// conditions, without anything secret.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Get {
    /// Kinds, or one object as KIND/NAME: servers, vol,snap, all, Server/db
    #[arg(value_name = "KIND[,KIND]")]
    kinds: String,
    /// Names of objects, or more as KIND/NAME
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Only objects whose labels fit: app=blog,tier!=db,env in (a,b)
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,
    /// Go on, and show what changes
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    address: Address,
}

impl Get {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let daemon = self.address.daemon()?;
        let resources = Resources::of(&daemon).await?;
        let mut words = vec![self.kinds.clone()];
        words.extend(self.names.iter().cloned());
        let targets = resources.targets(&words, self.place.namespace().as_deref())?;
        if self.selector.is_some() && targets.iter().any(|it| it.name.is_some()) {
            let hint = "leave out the names, or --selector";
            return Err(Advised::error(
                "a name and a selector exclude each other",
                hint,
            ));
        }
        if self.watch {
            return self.follow(&daemon, &targets).await;
        }
        let fault = match self.output.form {
            Form::Json | Form::Yaml => self.documents(&daemon, &targets).await?,
            _ => self.tables(&daemon, &targets).await?,
        };
        fault.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    fn query(&self, fields: Option<String>) -> Vec<(&'static str, String)> {
        let labels = self.selector.clone().map(|it| ("labelSelector", it));
        let fields = fields.map(|it| ("fieldSelector", it));
        labels.into_iter().chain(fields).collect()
    }

    /// What each target is, and what is not there.
    async fn asked<'t>(
        &self,
        daemon: &Daemon,
        targets: &'t [Target<'t>],
        form: &str,
    ) -> anyhow::Result<(Vec<(&'t Target<'t>, Value)>, Option<anyhow::Error>)> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for target in targets {
            match daemon
                .get(&target.path(), &self.query(target.fields()), form)
                .await?
            {
                Answer::Here(value) => found.push((target, value)),
                Answer::Missing(_) => missing.push(target.missing(daemon).await),
            }
        }
        let fault = match missing.len() {
            0 | 1 => missing.pop(),
            _ => {
                let words: Vec<String> = missing.iter().map(ToString::to_string).collect();
                Some(anyhow::anyhow!("{}", words.join("; ")))
            }
        };
        Ok((found, fault))
    }

    async fn documents(
        &self,
        daemon: &Daemon,
        targets: &[Target<'_>],
    ) -> anyhow::Result<Option<anyhow::Error>> {
        let (mut found, fault) = self.asked(daemon, targets, JSON).await?;
        let document = match (targets, found.len()) {
            (_, 0) => return Ok(fault),
            ([_], 1) => found.remove(0).1,
            _ => {
                let mut items = Vec::new();
                for (target, mut value) in found {
                    match value["items"].take() {
                        Value::Array(more) if !target.is_one() => items.extend(more),
                        _ => items.push(value),
                    }
                }
                json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
            }
        };
        output::print(&output::document(&document, self.output.form)?)?;
        Ok(fault)
    }

    async fn tables(
        &self,
        daemon: &Daemon,
        targets: &[Target<'_>],
    ) -> anyhow::Result<Option<anyhow::Error>> {
        let (found, fault) = self.asked(daemon, targets, TABLE).await?;
        let mut sheets: Vec<Sheet> = Vec::new();
        for (target, table) in found {
            let sheet = Sheet::of(target.resource, &table);
            let rest = match sheets.last_mut() {
                _ if sheet.is_empty() => continue,
                Some(last) => last.take(sheet).err(),
                None => Some(sheet),
            };
            sheets.extend(rest);
        }
        let mut text = String::new();
        for sheet in &sheets {
            if !text.is_empty() && self.output.form != Form::Name {
                text.push('\n');
            }
            text.push_str(&sheet.text(self.beside(targets), self.output.form)?);
        }
        output::print(&text)?;
        if sheets.is_empty() && fault.is_none() {
            self.nothing(targets);
        }
        Ok(fault)
    }

    fn beside(&self, targets: &[Target<'_>]) -> Beside {
        let first = targets.first().map(|it| it.resource);
        Beside {
            namespace: self.place.all_namespaces,
            kind: targets.iter().any(|it| Some(it.resource) != first),
        }
    }

    fn nothing(&self, targets: &[Target<'_>]) {
        let what = match targets {
            [target] => target.resource.plural.as_str(),
            _ => "objects",
        };
        let place = match targets.first().and_then(|it| it.namespace.as_deref()) {
            Some(namespace) => format!(" in namespace {namespace}; -A looks in all"),
            None => String::new(),
        };
        anstream::eprintln!("no {what}{place}");
    }

    /// What is there, and then what changes.
    async fn follow(&self, daemon: &Daemon, targets: &[Target<'_>]) -> anyhow::Result<ExitCode> {
        let [target] = targets else {
            let hint = "name one kind, or one object";
            return Err(Advised::error(
                "only one thing can be watched at a time",
                hint,
            ));
        };
        let form = match self.output.form {
            Form::Json | Form::Yaml => JSON,
            _ => TABLE,
        };
        let mut growing = Growing::default();
        let mut is_there = true;
        let (path, fields) = target.list();
        follow(
            daemon,
            &path,
            &self.query(fields),
            form,
            |seen| match seen {
                Seen::List(list) => {
                    let is_empty = |rows: &str| list[rows].as_array().is_none_or(Vec::is_empty);
                    is_there = target.name.is_none() || !is_empty("rows") || !is_empty("items");
                    Ok(is_there && self.show(target, &list, &mut growing)?)
                }
                Seen::Here(it) | Seen::Gone(it) => self.show(target, &it, &mut growing),
            },
        )
        .await?;
        match is_there {
            true => Ok(ExitCode::SUCCESS),
            false => Err(target.missing(daemon).await),
        }
    }

    /// Shows a table or a document of one or several; says whether anybody reads it.
    fn show(
        &self,
        target: &Target<'_>,
        value: &Value,
        growing: &mut Growing,
    ) -> anyhow::Result<bool> {
        let (form, beside) = (self.output.form, self.beside(std::slice::from_ref(target)));
        let text = match form {
            Form::Table | Form::Wide => {
                let sheet = Sheet::of(target.resource, value);
                if sheet.is_empty() {
                    return Ok(true);
                }
                growing.text(&sheet, beside, form == Form::Wide)
            }
            Form::Name => Sheet::of(target.resource, value).text(beside, form)?,
            Form::Json | Form::Yaml => {
                let one = std::slice::from_ref(value);
                let all = value["items"].as_array().map_or(one, Vec::as_slice);
                let mut text = String::new();
                for it in all {
                    if form == Form::Yaml {
                        text.push_str("---\n");
                    }
                    text.push_str(&output::document(it, form)?);
                }
                text
            }
        };
        output::print_on(&text)
    }
}
