//! The conformance file as it is written: one story per service, each a list of steps in one order.
//!
//! Not for carrying them out: `run` does that, and `pattern` judges the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Every story, in the order in which they are told. The first one makes the users who ask in the others.
const STORIES: [&str; 7] = [
    "users",
    "identity",
    "image",
    "network",
    "network-admin",
    "block-storage",
    "compute",
];

/// What one service is asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Story {
    /// The file's name.
    #[serde(skip)]
    pub(crate) name: &'static str,
    /// What the paths are below.
    pub(crate) base: String,
    /// Who asks, unless a step says otherwise: a token that was kept under this name.
    #[serde(rename = "as")]
    pub(crate) asker: String,
    /// The microversion, unless a step says otherwise.
    pub(crate) at: Option<String>,
    /// The form of a refusal, with `{status}`, `{kind}` and `{message}`.
    pub(crate) fault: Value,
    /// The requests, in their order.
    pub(crate) steps: Vec<Step>,
}

/// One request, and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// What it shows, as a sentence.
    pub(crate) step: String,
    /// `POST networks`; of another service `POST image:images`; or a whole address.
    pub(crate) ask: String,
    /// Who asks; `nobody` has no token.
    #[serde(rename = "as")]
    pub(crate) asker: Option<String>,
    /// The microversion; `none` for none.
    pub(crate) at: Option<String>,
    /// More headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// A JSON body.
    pub(crate) body: Option<Value>,
    /// Or bytes.
    pub(crate) data: Option<String>,
    /// The status that must come.
    pub(crate) status: u16,
    /// The form of the body that must come; without this and the next, there must be none.
    pub(crate) answer: Option<Value>,
    /// Or of a refusal: its kind and its message.
    pub(crate) refused: Option<BTreeMap<String, String>>,
    /// Headers that must come.
    #[serde(default)]
    pub(crate) head: BTreeMap<String, Value>,
    /// Ask again until it is so, at most this many seconds.
    pub(crate) within: Option<u64>,
    /// The form of the answers until then.
    pub(crate) meanwhile: Option<Value>,
    /// What takes back what this step has done: `DELETE networks/{network}`.
    pub(crate) undo: Option<Undo>,
}

/// How a step is taken back: a request that is repeated until its object is gone, or one that is made once.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Undo {
    /// Until nothing is found.
    Ask(String),
    /// Until it is accepted.
    With {
        /// As in [`Step::ask`].
        ask: String,
        /// Its JSON body.
        body: Option<Value>,
        /// Who takes it back, if it is not who asked.
        #[serde(rename = "as")]
        asker: Option<String>,
    },
}

impl Step {
    /// Method, service (if it is another one) and the rest of what is asked.
    pub(crate) fn parts(&self) -> (&str, Option<&str>, &str) {
        parts(&self.ask)
    }
}

/// Splits `POST image:images/{image}?x=1`.
pub(crate) fn parts(ask: &str) -> (&str, Option<&str>, &str) {
    let (method, target) = ask.split_once(' ').unwrap_or((ask, ""));
    match target.split_once(':') {
        Some((service, path)) if STORIES.contains(&service) => (method, Some(service), path),
        _ => (method, None, target),
    }
}

/// Reads all stories.
pub(crate) fn read() -> Vec<Story> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let one = |name| {
        let path = folder.join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&path);
        parse(
            name,
            &text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    };
    STORIES.map(one).into()
}

fn parse(name: &'static str, text: &str) -> Story {
    let mut story: Story =
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}.yaml: {error}"));
    story.name = name;
    let mut sentences = BTreeSet::new();
    for step in &story.steps {
        let what = format!("{name}.yaml: `{}`", step.step);
        assert!(sentences.insert(&step.step), "{what} is there twice");
        assert!(
            step.answer.is_none() || step.refused.is_none(),
            "{what}: `answer` or `refused`"
        );
        assert!(
            step.refused.as_ref().is_none_or(|it| it.len() == 1),
            "{what}: one kind and its message"
        );
        assert!(
            step.meanwhile.is_none() || step.within.is_some(),
            "{what}: `meanwhile` is for `within`"
        );
        assert!(
            step.body.is_none() || step.data.is_none(),
            "{what}: `body` or `data`"
        );
    }
    story
}
