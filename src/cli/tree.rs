//! `stackward tree`: what needs what, and how each stands.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use owo_colors::{OwoColorize as _, Style};
use serde_json::{Value, json};

use crate::kinds;
use crate::manifest::{DEFAULT_NAMESPACE, Key, did_you_mean};

use super::connect;
use super::daemon::Address;
use super::failure::Advised;
use super::output::{self, Form, Output};
use super::progress::color;
use super::standing::{Standing, clean};

const EXAMPLES: &str = "\
Examples:
  stackward tree                       # everything, from what nothing else needs
  stackward tree Server/blog           # what it needs
  stackward tree Network/net --reverse # what needs it
  stackward tree -o json

What stands in the tree a second time is marked (*), and not unfolded again.";

/// Show what needs what, as a tree
///
/// Below each object stand those that its manifest refers to, which must be there before it, with the
/// state of each; with -o wide also what every one waits for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tree {
    /// Objects to begin with, or all of a kind: Server/blog, Server/team/blog, servers
    #[arg(value_name = "KIND[/NAME]")]
    what: Vec<String>,
    /// Begin with objects of this namespace [default: all]
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The other way: what needs it
    #[arg(long, short)]
    reverse: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    address: Address,
}

impl Tree {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let status = self.address.daemon()?.status().await?;
        let mut graph = Graph::of(&status);
        let roots = self.roots(&graph)?;
        if self.reverse {
            graph.turn();
        }
        let roots = match roots {
            Some(roots) => roots,
            None => graph.roots(self.namespace.as_deref()),
        };
        let walk = graph.walk(&roots);
        let text = match self.output.form {
            form @ (Form::Table | Form::Wide) => graph.text(&walk, form == Form::Wide),
            Form::Name => {
                let names: Vec<String> = in_order(&walk)
                    .iter()
                    .map(|it| it.short().to_string())
                    .collect();
                output::names(names.iter().map(String::as_str))
            }
            form => output::document(&graph.document(&walk, self.reverse), form)?,
        };
        if text.is_empty() {
            anstream::eprintln!("nothing is declared");
        }
        output::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The objects that are named.
    fn roots(&self, graph: &Graph) -> anyhow::Result<Option<Vec<Key>>> {
        let mut roots = Vec::new();
        for word in &self.what {
            let (kind, name) = word.split_once('/').unwrap_or((word, ""));
            let kind = connect::kind_name(kind, &["Secret", "ConfigMap"])?;
            if name.is_empty() {
                let space = |it: &&Key| {
                    self.namespace
                        .as_deref()
                        .is_none_or(|own| *it.namespace == *own)
                };
                roots.extend(
                    graph
                        .nodes
                        .keys()
                        .filter(|it| *it.kind == *kind)
                        .filter(space)
                        .cloned(),
                );
                continue;
            }
            let own = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
            let (namespace, name) = name.split_once('/').unwrap_or((own, name));
            let key = Key::new(kind, namespace, name);
            if !graph.nodes.contains_key(&key) {
                let names: Vec<String> = graph
                    .nodes
                    .keys()
                    .map(|it| it.short().to_string())
                    .collect();
                let near = did_you_mean(&key.short().to_string(), names.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean `{}`?", clean(near)),
                    None => "`stackward tree` shows all".to_owned(),
                };
                let message = format!("there is no {}", clean(&key.short().to_string()));
                return Err(Advised::error(message, hint));
            }
            roots.push(key);
        }
        Ok((!self.what.is_empty()).then_some(roots))
    }
}

/// What needs what.
#[derive(Debug)]
struct Graph {
    nodes: BTreeMap<Key, Node>,
}

#[derive(Debug)]
struct Node {
    standing: Standing,
    /// `None` where the daemon does not tell.
    declared: Option<bool>,
    needs: Vec<Key>,
}

impl Node {
    /// Something that others refer to, and of which the daemon tells nothing.
    fn stranger(key: &Key) -> Self {
        // Values for the others have no state.
        let is_value = kinds::find(&key.kind).is_none();
        let (word, detail) = match is_value {
            true => ("Value", ""),
            false => ("Missing", "no manifest declares it"),
        };
        Self {
            standing: Standing {
                word,
                detail: detail.to_owned(),
            },
            declared: (!is_value).then_some(false),
            needs: Vec::new(),
        }
    }
}

/// One line of the tree.
#[derive(Debug)]
struct Step {
    key: Key,
    /// For each level above it whether something follows there, and for its own.
    rails: Vec<bool>,
    /// What is below it stands elsewhere.
    again: bool,
}

impl Graph {
    fn of(status: &Value) -> Self {
        let mut nodes = BTreeMap::new();
        let objects = status["objects"].as_object().into_iter().flatten();
        for (key, object) in objects {
            // A successor that is made beside the old one is its own object's affair.
            let Some(key) = key
                .parse::<Key>()
                .ok()
                .filter(|it| it.as_incarnation().is_none())
            else {
                continue;
            };
            let needs = object["refersTo"].as_array().into_iter().flatten();
            let needs = needs.filter_map(|it| it.as_str()?.parse().ok()).collect();
            let node = Node {
                standing: Standing::read(object),
                declared: Some(true),
                needs,
            };
            nodes.insert(key, node);
        }
        let needed: Vec<Key> = nodes.values().flat_map(|it| it.needs.clone()).collect();
        for key in needed {
            let stranger = || Node::stranger(&key);
            nodes.entry(key.clone()).or_insert_with(stranger);
        }
        Self { nodes }
    }

    /// From now on everything points the other way.
    fn turn(&mut self) {
        let mut turned: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        for (key, node) in &mut self.nodes {
            for needed in std::mem::take(&mut node.needs) {
                turned.entry(needed).or_default().push(key.clone());
            }
        }
        for (key, needs) in turned {
            if let Some(node) = self.nodes.get_mut(&key) {
                node.needs = needs;
            }
        }
    }

    /// What nothing points to; and of circles, which have no beginning, some member.
    fn roots(&self, namespace: Option<&str>) -> Vec<Key> {
        let of_it = |key: &&Key| namespace.is_none_or(|own| *key.namespace == *own);
        let needed: BTreeSet<&Key> = self.nodes.values().flat_map(|it| &it.needs).collect();
        let free = self.nodes.keys().filter(|it| !needed.contains(it));
        let mut roots: Vec<Key> = free.filter(of_it).cloned().collect();
        let mut seen: BTreeSet<Key> = self.walk(&roots).into_iter().map(|it| it.key).collect();
        for key in self.nodes.keys().filter(of_it) {
            if !seen.contains(key) {
                roots.push(key.clone());
                let more = self.walk(std::slice::from_ref(key));
                seen.extend(more.into_iter().map(|it| it.key));
            }
        }
        roots
    }

    /// The lines, from the first to the last. What was unfolded once is not again, so that circles end.
    fn walk(&self, roots: &[Key]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut unfolded: BTreeSet<Key> = BTreeSet::new();
        // A stack of our own: a long chain must not overflow the thread's.
        let mut open: Vec<(Key, Vec<bool>)> = roots
            .iter()
            .rev()
            .map(|it| (it.clone(), Vec::new()))
            .collect();
        while let Some((key, rails)) = open.pop() {
            let needs = self.nodes.get(&key).map_or(&[][..], |it| &it.needs);
            let again = !needs.is_empty() && !unfolded.insert(key.clone());
            if !again {
                for (at, needed) in needs.iter().enumerate().rev() {
                    let mut rails = rails.clone();
                    rails.push(at + 1 < needs.len());
                    open.push((needed.clone(), rails));
                }
            }
            steps.push(Step { key, rails, again });
        }
        steps
    }

    fn text(&self, walk: &[Step], wide: bool) -> String {
        let dimmed = Style::new().dimmed();
        let mut text = String::new();
        for Step { key, rails, again } in walk {
            let mut line = String::new();
            for (level, goes_on) in rails.iter().enumerate() {
                line.push_str(match (level + 1 == rails.len(), goes_on) {
                    (true, true) => "├── ",
                    (true, false) => "└── ",
                    (false, true) => "│   ",
                    (false, false) => "    ",
                });
            }
            line.push_str(&clean(&key.short().to_string()));
            if let Some(Node { standing, .. }) = self.nodes.get(key) {
                let Standing { word, detail } = standing;
                let style = match *word {
                    "Missing" => color("Blocked"),
                    word => color(word),
                };
                line.push_str(&format!("  {}", word.style(style)));
                // An id helps nobody here who did not ask for everything.
                if !detail.is_empty() && (wide || *word != "Available") {
                    line.push_str(&format!("  {}", detail.style(dimmed)));
                }
            }
            if *again {
                line.push_str(&format!(" {}", "(*)".style(dimmed)));
            }
            text.push_str(&format!("{line}\n"));
        }
        text
    }

    fn document(&self, walk: &[Step], reverse: bool) -> Value {
        let object = |key: Key| {
            let node = self.nodes.get(&key)?;
            let edges = if reverse { "referredToBy" } else { "refersTo" };
            Some(
                json!({"object": key, "declared": node.declared, "state": node.standing.word,
                "detail": node.standing.detail, edges: node.needs}),
            )
        };
        let objects: Vec<Value> = in_order(walk).into_iter().filter_map(object).collect();
        json!({"objects": objects})
    }
}

/// Each object of the tree once.
fn in_order(walk: &[Step]) -> Vec<Key> {
    let mut seen = BTreeSet::new();
    let fresh = walk.iter().filter(|it| seen.insert(&it.key));
    fresh.map(|it| it.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let objects: serde_json::Map<String, Value> = edges
            .iter()
            .map(|(key, needs)| {
                let needs: Vec<String> = needs
                    .iter()
                    .map(|it| format!("Volume/default/{it}"))
                    .collect();
                let conditions = json!([{"type": "Available", "status": "True"},
                    {"type": "Progressing", "status": "False", "reason": "Success"}]);
                let object = json!({"deleting": false, "reason": "InSync", "refersTo": needs,
                    "status": {"conditions": conditions}});
                (format!("Volume/default/{key}"), object)
            })
            .collect();
        Graph::of(&json!({"objects": objects}))
    }

    fn text(graph: &Graph) -> String {
        let text = graph.text(&graph.walk(&graph.roots(None)), false);
        anstream::adapter::strip_str(&text).to_string()
    }

    const BLOG: &[(&str, &[&str])] = &[
        ("blog", &["image", "port"]),
        ("db", &["port"]),
        ("image", &[]),
        ("port", &["net"]),
        ("net", &[]),
    ];

    #[test]
    fn what_needs_what_is_unfolded_once() {
        assert_eq!(
            text(&graph(BLOG)),
            "Volume/blog  Available\n\
             ├── Volume/image  Available\n\
             └── Volume/port  Available\n    \
                 └── Volume/net  Available\n\
             Volume/db  Available\n\
             └── Volume/port  Available (*)\n"
        );
    }

    #[test]
    fn the_other_way_shows_what_needs_it() {
        let mut graph = graph(BLOG);
        graph.turn();
        assert_eq!(
            text(&graph),
            "Volume/image  Available\n\
             └── Volume/blog  Available\n\
             Volume/net  Available\n\
             └── Volume/port  Available\n    \
                 ├── Volume/blog  Available\n    \
                 └── Volume/db  Available\n"
        );
    }

    #[test]
    fn circles_end_and_what_is_not_declared_is_shown() {
        assert_eq!(
            text(&graph(&[("a", &["b"]), ("b", &["a", "c"])])),
            "Volume/a  Available\n\
             └── Volume/b  Available\n    \
                 ├── Volume/a  Available (*)\n    \
                 └── Volume/c  Missing  no manifest declares it\n"
        );
    }
}
