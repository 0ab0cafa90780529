//! The subjects of the test, as `kinds/*.yaml` describe them. No decisions: see `script.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stackward::kinds::erased::AnyKind;
use stackward::manifest::{Key, Shape};

use crate::script::Script;

/// One resource that is led through its life.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// The file's name without its ending: also the object's name, after the run's.
    #[serde(skip)]
    pub(crate) file: String,
    /// The object's name.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Why a real cloud is not asked, if it is not.
    pub(crate) sandbox_only: Option<String>,
    /// The objects that it refers to.
    #[serde(default)]
    pub(crate) needs: Vec<Other>,
    /// Files beside the manifests, by name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// What the spec says besides the fields that are tried.
    #[serde(default)]
    pub(crate) base: Map<String, Value>,
    /// `spec.lifecycle` of every form of it.
    #[serde(default)]
    pub(crate) lifecycle: Map<String, Value>,
    /// How a person changes it: method and the name around the body.
    #[serde(default)]
    pub(crate) by_hand: ByHand,
    /// The import filter that finds it, or why there is none.
    pub(crate) import: Option<Value>,
    /// A few words where it cannot be imported at all.
    pub(crate) no_import: Option<String>,
    /// A few words where its id alone does not find it.
    pub(crate) no_import_by_id: Option<String>,
    /// A few words where it cannot be adopted.
    pub(crate) no_adoption: Option<String>,
    /// How a person takes the mark of ownership off, if not as of any resource of that service.
    pub(crate) strip: Option<Vec<Map<String, Value>>>,
    /// How a person deletes it, if not by DELETE of its path.
    pub(crate) delete: Option<Vec<Map<String, Value>>>,
    /// Its id is made of its names or parts: it may be the same after it was made anew.
    #[serde(default)]
    pub(crate) natural_id: bool,
    pub(crate) fields: BTreeMap<String, Life>,
    /// The fields that this one tries, if not all.
    #[serde(skip)]
    pub(crate) tries: Option<BTreeSet<String>>,
}

/// More steps than this are tried on several subjects side by side.
const LONGEST: usize = 30;

/// Another object that is declared beside it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Other {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) resource: Option<Value>,
    pub(crate) import: Option<Value>,
    #[serde(rename = "stringData")]
    pub(crate) string_data: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByHand {
    pub(crate) method: Option<String>,
    /// The name around the body of reads and updates.
    pub(crate) wrap: Option<String>,
}

/// The life of one field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Life {
    /// The first is what the subject is made with, the others are what it is changed to, in turn;
    /// null is: not set.
    #[serde(default)]
    pub(crate) values: Vec<Value>,
    /// Why no manifest can have it, in a few words.
    pub(crate) never: Option<String>,
    /// The class of what its value stands for, where it is not its own: the content of a file.
    pub(crate) acts_as: Option<String>,
    /// The API's word for it, if it is not the field's own in snake case.
    #[serde(rename = "as")]
    pub(crate) word: Option<String>,
    /// What is seen in the API for each value, where that is not the value itself: a part of the
    /// resource as it is read, or of another (`<Kind/name>`).
    pub(crate) seen: Option<Vec<Value>>,
    /// Other fields that go along with each value.
    pub(crate) along: Option<Vec<Map<String, Value>>>,
    /// What somebody else does to it; by default its second value is written.
    pub(crate) drift: Option<Vec<Map<String, Value>>>,
    /// Why nobody else can change it, in a few words.
    pub(crate) no_drift: Option<String>,
    /// What is seen after it was taken out of the manifest, where that is a change.
    pub(crate) unset_seen: Option<Value>,
    /// Why it cannot be taken out of the manifest, in a few words.
    pub(crate) no_unset: Option<String>,
    /// Why it cannot be changed back; a word of what is said then.
    pub(crate) one_way: Option<OneWay>,
    /// Why there is no other value that could be tried, in a few words.
    pub(crate) no_change: Option<String>,
    /// A replacement that cannot be tried, in a few words.
    pub(crate) no_replace: Option<String>,
    /// What is otherwise on a real cloud, since it has not all that the simulated one has, or has it
    /// under another name.
    pub(crate) on_a_cloud: Option<Otherwise>,
    /// A change that `disrupt: Deny` does not hold up, since it interrupts nothing.
    #[serde(default)]
    pub(crate) harmless: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Otherwise {
    pub(crate) never: Option<String>,
    pub(crate) no_replace: Option<String>,
    pub(crate) seen: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneWay {
    pub(crate) code: String,
    pub(crate) words: String,
}

impl Subject {
    /// All subjects, with this name of a run in their names.
    pub(crate) fn all(run: &str) -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/life/kinds");
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
            .iter()
            .flat_map(|path| Self::parts(path, run))
            .collect()
    }

    /// A subject with a long script is there several times, each of which tries some of the fields:
    /// all together take as long as the longest.
    fn parts(path: &Path, run: &str) -> Vec<Self> {
        let whole = Self::read(path, run, "");
        let parts = Script::parts(&whole, LONGEST);
        if parts.len() < 2 {
            return vec![whole];
        }
        let numbered = parts.into_iter().zip(1..);
        let part = |(fields, number): (BTreeSet<String>, usize)| {
            let mut part = Self::read(path, run, &format!("-{number}"));
            part.tries = Some(fields);
            part
        };
        numbered.map(part).collect()
    }

    fn read(path: &Path, run: &str, part: &str) -> Self {
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned() + part;
        let text = std::fs::read_to_string(path).unwrap();
        // Names like RUN-x are unique in the cloud.
        let text = text.replace("RUN", &format!("{run}-{file}"));
        let mut subject: Self = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        subject.name = format!("{run}-{file}");
        subject.file = file;
        subject
    }

    /// Takes what a real cloud cannot do out of it.
    pub(crate) fn on_a_cloud(&mut self) {
        for life in self.fields.values_mut() {
            if let Some(otherwise) = life.on_a_cloud.take() {
                life.never = life.never.take().or(otherwise.never);
                life.no_replace = life.no_replace.take().or(otherwise.no_replace);
                life.seen = otherwise.seen.or(life.seen.take());
            }
        }
    }

    pub(crate) fn kind(&self) -> &'static dyn AnyKind {
        stackward::kinds::find(&self.kind)
            .unwrap_or_else(|| panic!("{}: there is no kind {}", self.file, self.kind))
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(&*self.kind, "default", &*self.name)
    }

    /// The manifests of what it refers to.
    pub(crate) fn others(&self) -> Vec<Value> {
        self.needs.iter().map(Other::manifest).collect()
    }

    /// The schema's required fields.
    pub(crate) fn requires(&self, field: &str) -> bool {
        let schema = self.kind().schemas().spec;
        let required = schema["required"].as_array();
        required.is_some_and(|it| it.iter().any(|name| name == field))
    }
}

impl Other {
    fn manifest(&self) -> Value {
        if let Some(data) = &self.string_data {
            return json!({"apiVersion": "v1", "kind": self.kind, "metadata": {"name": self.name},
                "stringData": data});
        }
        let flat = stackward::kinds::find(&self.kind)
            .unwrap_or_else(|| panic!("there is no kind {}", self.kind))
            .shape()
            == Shape::Flat;
        let spec = match (&self.resource, &self.import) {
            (Some(resource), _) if flat => resource.clone(),
            (Some(resource), _) => json!({"resource": resource}),
            (None, Some(filter)) => {
                json!({"managementPolicy": "unmanaged", "import": {"filter": filter}})
            }
            (None, None) => json!({"resource": {}}),
        };
        json!({"apiVersion": "stackward.dev/v1alpha1", "kind": self.kind,
            "metadata": {"name": self.name}, "spec": spec})
    }
}

impl Life {
    /// What is to be seen of the value with this index.
    pub(crate) fn seen(&self, field: &str, index: usize) -> Value {
        if let Some(seen) = &self.seen {
            return seen.get(index).cloned().unwrap_or_else(|| json!({}));
        }
        let word = self.word.clone().unwrap_or_else(|| snake(field));
        json!({word: self.values[index]})
    }
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
