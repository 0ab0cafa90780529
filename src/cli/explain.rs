//! `stackward explain`: what may stand in a manifest, field by field, from the schema of the kinds.
//!
//! Nothing is said here that the schema and the kinds' FIELDS do not say.

use std::process::ExitCode;

use crate::kinds::schema::schema;
use crate::kinds::{self, KINDS};
use crate::manifest::{Group, Shape, did_you_mean};
use owo_colors::{OwoColorize as _, Style};

use super::failure::Advised;
use super::fields::{Field, Fields};
use super::generated::words;
use super::{connect, output};

const EXAMPLES: &str = "\
Examples:
  stackward explain                          # the kinds
  stackward explain Server
  stackward explain Server.spec.resource.userData
  stackward explain Server.userData          # the same
  stackward explain Server.status.resource --recursive";

/// Explain a kind or one of its fields
///
/// Says what may stand in a manifest: type, meaning, default, whether it must be there, and what it
/// takes to change it later, as `plan` decides it. A path goes on with a point: KIND.field.field; it
/// may begin at spec, or leave out spec and spec.resource.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    /// A kind, or one of its fields: Server, Server.spec.lifecycle, Server.networks
    #[arg(value_name = "KIND[.FIELD...]")]
    what: Option<String>,
    /// Show the fields of the fields, by name and type
    #[arg(long, short)]
    recursive: bool,
}

impl Explain {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let text = match &self.what {
            None => kinds_text(),
            Some(what) => text(what, self.recursive)?,
        };
        output::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// How far lines go.
const WIDTH: usize = 96;

/// Deeper than any kind is.
const DEEPEST: usize = 8;

fn kinds_text() -> String {
    let mut text = String::new();
    let mut service = String::new();
    let mut kinds: Vec<_> = KINDS.to_vec();
    kinds.sort_by_key(|kind| kind.service());
    for kind in kinds {
        if kind.service().to_string() != service {
            service = kind.service().to_string();
            text.push_str(&format!("{}\n", heading(&service)));
        }
        let schema = kind.schemas().spec;
        let first = schema["description"].as_str().unwrap_or_default();
        let first = first.split(". ").next().unwrap_or_default();
        let first = first.trim_end_matches('.').replace('\n', " ");
        text.push_str(&format!("  {:<22} {first}\n", kind.name()));
    }
    text.push_str(&format!("{}\n", heading("values for the others")));
    text.push_str(
        "  Secret                 Passwords, keys, a clouds.yaml; makes nothing in a cloud\n",
    );
    text.push_str("  ConfigMap              Plain values and texts; makes nothing in a cloud\n");
    text
}

/// The explanation of a path.
fn text(what: &str, recursive: bool) -> anyhow::Result<String> {
    let mut steps = what
        .split('.')
        .map(|step| step.split('[').next().unwrap_or(step));
    let name = connect::kind_name(steps.next().unwrap_or_default(), &["Secret", "ConfigMap"])?;
    let steps: Vec<&str> = steps.filter(|step| !step.is_empty()).collect();
    let whole = schema();
    let status = kinds::find(name).map(|kind| kind.schemas().status);
    let document = Fields::of_kind(&whole, name, status.as_ref());
    let Some(document) = document else {
        anyhow::bail!("there is no schema of {name}");
    };
    let base: &[&str] = match kinds::find(name).map(|kind| kind.shape()) {
        Some(Shape::Enveloped) => &["spec", "resource"],
        Some(Shape::Flat) => &["spec"],
        None => &[],
    };
    let (path, field) = find(name, &document, &steps, base)?;
    let mut out = format!("{} {name}\n", label("KIND"));
    let group = match kinds::find(name) {
        Some(_) => Group::Native,
        None => Group::Core,
    };
    out.push_str(&format!("{} {}\n", label("VERSION"), group.api_version()));
    if !path.is_empty() {
        out.push_str(&format!("{} {}\n", label("FIELD"), path.join(".")));
        out.push_str(&format!("{} {}\n", label("TYPE"), field.type_name()));
        if field.required {
            out.push_str(&format!("{} it must be there\n", label("REQUIRED")));
        }
        if let Some(default) = field.default() {
            out.push_str(&format!("{} {default}\n", label("DEFAULT")));
        }
        if let Some(change) = change(name, &path, base) {
            out.push_str(&format!("{} {change}\n", label("CHANGE")));
        }
    }
    // Of a kind alone its resource is what is meant: what stands around it is the same for all.
    let shown = if path.is_empty() {
        find(name, &document, base, &[])?.1
    } else {
        field
    };
    let description = shown.description();
    if !description.is_empty() {
        out.push_str(&format!(
            "\n{}\n{}",
            heading("DESCRIPTION"),
            wrapped(&description, 2)
        ));
    }
    let choices = shown.choices();
    if choices.iter().any(|(_, why)| !why.is_empty()) {
        out.push_str(&format!("\n{}\n", heading("VALUES")));
        for (value, why) in choices {
            out.push_str(&format!("  {value}\n{}", wrapped(&why, 4)));
        }
    }
    let fields = shown.fields();
    if !fields.is_empty() {
        let of = if path.is_empty() && !base.is_empty() {
            format!("FIELDS of {}", base.join("."))
        } else {
            "FIELDS".to_owned()
        };
        out.push_str(&format!("\n{}\n", heading(&of)));
        let within = if path.is_empty() {
            base.iter().map(|step| (*step).to_owned()).collect()
        } else {
            path.clone()
        };
        for field in &fields {
            list(&mut out, field, recursive, name, &within, base);
        }
    }
    if path.is_empty() && !base.is_empty() {
        let more = format!(
            "What stands around it (policies, import, lifecycle): stackward explain {name}.spec; \
             what others can refer to: stackward explain {name}.status.resource"
        );
        out.push_str(&format!("\n{}", wrapped(&more, 0)));
    }
    Ok(out)
}

/// One field in the list of another's.
fn list(
    out: &mut String,
    field: &Field<'_>,
    recursive: bool,
    kind: &str,
    within: &[String],
    base: &[&str],
) {
    if recursive {
        tree(out, field, 1);
        return;
    }
    let required = if field.required { "  required" } else { "" };
    out.push_str(&format!(
        "  {} <{}>{}\n",
        field.name.style(Style::new().bold()),
        field.type_name(),
        required.style(Style::new().red())
    ));
    let mut path = within.to_vec();
    path.push(field.name.clone());
    let mut words = field.description();
    if let Some(change) = change(kind, &path, base).filter(|_| path.len() == base.len() + 1) {
        words.push_str(&format!(" [change: {change}]"));
    }
    if let Some(default) = field.default() {
        words.push_str(&format!(" [default: {default}]"));
    }
    out.push_str(&wrapped(words.trim(), 6));
}

fn tree(out: &mut String, field: &Field<'_>, depth: usize) {
    let required = if field.required { "  required" } else { "" };
    let indent = "  ".repeat(depth);
    out.push_str(&format!(
        "{indent}{} <{}>{}\n",
        field.name.style(Style::new().bold()),
        field.type_name(),
        required.style(Style::new().red())
    ));
    if depth < DEEPEST {
        for field in field.fields() {
            tree(out, &field, depth + 1);
        }
    }
}

/// What it takes to change a field, which is that of the top-level field that it is in.
fn change(kind: &str, path: &[String], base: &[&str]) -> Option<&'static str> {
    let rows = kinds::find(kind)?.rows();
    let below =
        path.strip_prefix(&base.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..])?;
    let row = rows
        .iter()
        .find(|row| Some(row.name) == below.first().map(String::as_str))?;
    Some(words(row.class))
}

/// The field at a path, and the whole path to it; what is not there is looked for below `base`.
fn find<'a>(
    kind: &str,
    document: &Field<'a>,
    steps: &[&str],
    base: &[&str],
) -> anyhow::Result<(Vec<String>, Field<'a>)> {
    // What is not in the document itself is looked for in its spec, and in the resource.
    let holds = |field: &Field<'_>, step: &str| field.fields().iter().any(|it| it.name == step);
    let spec = document.fields().into_iter().find(|it| it.name == "spec");
    let prefix: &[&str] = match steps.first() {
        Some(step) if !base.is_empty() && !holds(document, step) => match &spec {
            Some(spec) if holds(spec, step) => &base[..1],
            _ => base,
        },
        _ => &[],
    };
    let steps: Vec<&str> = prefix.iter().chain(steps).copied().collect();
    let mut field = document.clone();
    let mut path: Vec<String> = Vec::new();
    for step in steps {
        let fields = field.fields();
        let Some(next) = fields.iter().find(|it| it.name == step) else {
            let mut known: Vec<&str> = fields.iter().map(|it| it.name.as_str()).collect();
            let around = spec.iter().flat_map(Field::fields).chain(document.fields());
            let around: Vec<Field<'_>> = around.collect();
            if !prefix.is_empty() && path.len() == base.len() {
                known.extend(around.iter().map(|it| it.name.as_str()));
            }
            let place = [&[kind.to_owned()], &path[..]].concat().join(".");
            let hint = match did_you_mean(step, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => format!("{place} has no fields of its own"),
                None => format!("there are {}", known.join(", ")),
            };
            let message = format!("there is no field `{step}` in {place}");
            return Err(Advised::error(message, hint));
        };
        path.push(next.name.clone());
        field = next.clone();
    }
    Ok((path, field))
}

fn heading(text: &str) -> String {
    format!("{text}:").style(Style::new().bold()).to_string()
}

fn label(text: &str) -> String {
    format!("{:<10}", format!("{text}:"))
        .style(Style::new().bold())
        .to_string()
}

fn wrapped(text: &str, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{}{word}", " ".repeat(indent))),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(what: &str, recursive: bool) -> String {
        anstream::adapter::strip_str(&text(what, recursive).unwrap()).to_string()
    }

    #[test]
    fn a_field_says_its_type_its_class_and_what_it_is() {
        let text = plain("server.flavorRef", false);
        for part in [
            "KIND:      Server\n",
            "FIELD:     spec.resource.flavorRef\n",
            "REQUIRED:",
            "CHANGE:    in place, interrupts service (`lifecycle.disrupt`)\n",
            "Another one is a resize",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert_eq!(text, plain("Servers.spec.resource.flavorRef", false));
        let text = plain("Server.powerState", false);
        assert!(text.contains("Stopped\n    It is shut down"), "{text}");
        let disrupt = plain("Server.lifecycle.disrupt", false);
        assert!(
            disrupt.contains("FIELD:     spec.lifecycle.disrupt\n"),
            "{disrupt}"
        );
        let namespace = plain("Server.metadata.namespace", false);
        assert!(namespace.contains("DEFAULT:   default\n"), "{namespace}");
    }

    #[test]
    fn every_field_of_these_kinds_is_found_by_its_path() {
        fn walk(kind: &str, field: &Field<'_>, path: &[String]) -> usize {
            let mut count = 1;
            if path.len() < DEEPEST {
                for field in field.fields() {
                    let path = [path, std::slice::from_ref(&field.name)].concat();
                    let found = text(&format!("{kind}.{}", path.join(".")), false);
                    assert!(found.is_ok(), "{kind} {path:?}: {found:?}");
                    count += walk(kind, &field, &path);
                }
            }
            count
        }
        let whole = schema();
        let mut count = 0;
        for kind in ["Server", "Volume", "RouterInterface", "Secret"] {
            let status = kinds::find(kind).map(|kind| kind.schemas().status);
            let document = Fields::of_kind(&whole, kind, status.as_ref()).unwrap();
            count += walk(kind, &document, &[]);
        }
        assert!(count > 150, "{count}");
        for kind in KINDS {
            assert!(plain(kind.name(), true).contains("FIELDS of spec"));
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_corrected() {
        let hint = |what: &str| {
            let error = text(what, false).unwrap_err();
            super::super::failure::words(&error)
        };
        assert!(hint("Sever").contains("did you mean `Server`?"));
        assert!(hint("Server.flavourRef").contains("did you mean `flavorRef`?"));
        assert!(hint("Server.lifecyle").contains("did you mean `lifecycle`?"));
        assert!(hint("Server.metdata").contains("did you mean `metadata`?"));
        let nested = hint("Server.spec.lifecycle.disrupted");
        assert!(nested.contains("in Server.spec.lifecycle"), "{nested}");
        assert!(nested.contains("did you mean `disrupt`?"), "{nested}");
        assert!(hint("Server.flavorRef.id.x").contains("has no fields of its own"));
    }
}
