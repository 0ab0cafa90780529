//! The words of a command line as resources of the daemon's API, as its discovery names them: plural,
//! singular, short, by kind, with a group, or a category that stands for several.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::manifest::{DEFAULT_NAMESPACE, Key, did_you_mean};

use super::daemon::{Answer, Daemon, TABLE};
use super::failure::Advised;
use super::standing::clean;

const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// The group that every daemon serves.
const NATIVE: &str = "stackward.dev";

/// A resource of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// Empty for the core group.
    group: String,
    version: String,
    /// `servers`.
    pub(super) plural: String,
    singular: String,
    /// `Server`.
    pub(super) kind: String,
    namespaced: bool,
    short: Vec<String>,
    categories: Vec<String>,
}

/// Every resource of the API; the native group before ORC's.
#[derive(Debug)]
pub(super) struct Resources(Vec<Resource>);

/// Of which namespaces.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Place {
    /// Namespace of the objects [default: default]
    #[arg(
        long,
        short,
        value_name = "NAMESPACE",
        conflicts_with = "all_namespaces"
    )]
    namespace: Option<String>,
    /// Of all namespaces
    #[arg(long, short = 'A')]
    pub(super) all_namespaces: bool,
}

/// Objects that the command line names: all of a resource, or one.
#[derive(Debug, Clone)]
pub(super) struct Target<'r> {
    pub(super) resource: &'r Resource,
    /// `None` is all of them.
    pub(super) namespace: Option<String>,
    /// `None` is all of them.
    pub(super) name: Option<String>,
}

impl Place {
    /// The namespace; `None` for all.
    pub(super) fn namespace(&self) -> Option<String> {
        let named = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        (!self.all_namespaces).then(|| named.to_owned())
    }
}

impl Resources {
    /// Asks the daemon.
    pub(super) async fn of(daemon: &Daemon) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for path in ["api", "apis"] {
            match daemon.get(path, &[], DISCOVERY).await? {
                Answer::Here(groups) => all.extend(read(&groups)),
                Answer::Missing(words) => return Err(daemon.is_foreign(&words)),
            }
        }
        if !all.iter().any(|it| it.group == NATIVE) {
            return Err(daemon.is_foreign("its API has no stackward.dev"));
        }
        Ok(Self(all))
    }

    /// The resource that a word means.
    pub(super) fn one(&self, word: &str) -> anyhow::Result<&Resource> {
        let wanted = word.to_lowercase();
        let (name, group) = match wanted.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (wanted.as_str(), None),
        };
        let found = self
            .0
            .iter()
            .find(|it| it.is_called(name) && group.is_none_or(|group| it.is_in(group)));
        found.ok_or_else(|| self.unknown(word))
    }

    /// The resources that words between commas mean: kinds, or categories such as `all`.
    fn several(&self, words: &str) -> anyhow::Result<Vec<&Resource>> {
        let mut found: Vec<&Resource> = Vec::new();
        for word in words.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let in_category = |it: &&Resource| it.categories.iter().any(|its| its == word);
            let mut meant: Vec<&Resource> = self.0.iter().filter(in_category).collect();
            if meant.is_empty() {
                meant.push(self.one(word)?);
            }
            for it in meant {
                if !found.contains(&it) {
                    found.push(it);
                }
            }
        }
        if found.is_empty() {
            return Err(self.unknown(words));
        }
        Ok(found)
    }

    /// `KIND[,KIND] [NAME...]`, or `KIND/NAME...`, as targets.
    pub(super) fn targets(
        &self,
        words: &[String],
        namespace: Option<&str>,
    ) -> anyhow::Result<Vec<Target<'_>>> {
        let (slashed, plain): (Vec<&String>, Vec<&String>) =
            words.iter().partition(|word| word.contains('/'));
        match (slashed.is_empty(), plain.split_first()) {
            (false, None) => slashed
                .iter()
                .map(|it| self.slashed(it, namespace))
                .collect(),
            (true, Some((kinds, names))) => {
                let target = |resource, name: Option<&&String>| {
                    Target::of(resource, namespace, name.map(|it| it.as_str()))
                };
                let kinds = self.several(kinds)?;
                Ok(match names {
                    [] => kinds.into_iter().map(|it| target(it, None)).collect(),
                    names => kinds
                        .into_iter()
                        .flat_map(|it| names.iter().map(move |name| target(it, Some(name))))
                        .collect(),
                })
            }
            _ => {
                let hint = "say either KIND NAME... or KIND/NAME...";
                Err(Advised::error("kinds and names are mixed up", hint))
            }
        }
    }

    fn slashed(&self, word: &str, namespace: Option<&str>) -> anyhow::Result<Target<'_>> {
        let key: Key = word.parse()?;
        let resource = self.one(&key.kind)?;
        let own = (word.matches('/').count() == 2).then_some(&*key.namespace);
        Ok(Target::of(resource, own.or(namespace), Some(&key.name)))
    }

    fn unknown(&self, word: &str) -> anyhow::Error {
        let names = self
            .0
            .iter()
            .flat_map(|it| [it.plural.as_str(), it.singular.as_str()]);
        let hint = match did_you_mean(word, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let native = self
                    .0
                    .iter()
                    .filter(|it| it.group == NATIVE || it.group.is_empty());
                let names: Vec<&str> = native.map(|it| it.plural.as_str()).collect();
                format!("there are {}", names.join(", "))
            }
        };
        Advised::error(format!("there is no kind `{}`", clean(word)), hint)
    }
}

fn read(groups: &Value) -> Vec<Resource> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let mut all = Vec::new();
    for group in groups["items"].as_array().into_iter().flatten() {
        for version in group["versions"].as_array().into_iter().flatten() {
            for it in version["resources"].as_array().into_iter().flatten() {
                all.push(Resource {
                    group: text(&group["metadata"]["name"]),
                    version: text(&version["version"]),
                    plural: text(&it["resource"]),
                    singular: text(&it["singularResource"]),
                    kind: text(&it["responseKind"]["kind"]),
                    namespaced: it["scope"] == "Namespaced",
                    short: texts(&it["shortNames"]),
                    categories: texts(&it["categories"]),
                });
            }
        }
    }
    all
}

impl Resource {
    fn is_called(&self, word: &str) -> bool {
        [&self.plural, &self.singular].contains(&&word.to_owned())
            || self.short.iter().any(|it| it == word)
    }

    fn is_in(&self, group: &str) -> bool {
        self.group == group || format!("{}.{}", self.version, self.group) == group
    }

    /// The path of its objects.
    fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = match self.group.as_str() {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path.push_str(&format!("/namespaces/{}", escaped(namespace)));
        }
        path.push_str(&format!("/{}", self.plural));
        if let Some(name) = name {
            path.push_str(&format!("/{}", escaped(name)));
        }
        path
    }
}

fn escaped(text: &str) -> String {
    const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(text, PART).to_string()
}

impl<'r> Target<'r> {
    fn of(resource: &'r Resource, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self {
            resource,
            namespace: namespace.filter(|_| resource.namespaced).map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    /// The path of what is meant. One object of all namespaces is a matter of its name's field, since
    /// an object's own path has its namespace.
    pub(super) fn path(&self) -> String {
        let name = self.name.as_deref().filter(|_| self.is_one());
        self.resource.path(self.namespace.as_deref(), name)
    }

    /// What of that is meant.
    pub(super) fn fields(&self) -> Option<String> {
        self.named().filter(|_| !self.is_one())
    }

    /// The same as a list, whose version is one to watch from: an object's own may be long forgotten.
    pub(super) fn list(&self) -> (String, Option<String>) {
        let path = self.resource.path(self.namespace.as_deref(), None);
        (path, self.named())
    }

    fn named(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        Some(format!("metadata.name={name}"))
    }

    /// Is there one answer, and not a list?
    pub(super) fn is_one(&self) -> bool {
        self.name.is_some() && (self.namespace.is_some() || !self.resource.namespaced)
    }

    /// There is no such object; which name was meant?
    pub(super) async fn missing(&self, daemon: &Daemon) -> anyhow::Error {
        let (kind, name) = (
            &self.resource.kind,
            self.name.as_deref().unwrap_or_default(),
        );
        let everywhere = self.resource.path(None, None);
        let all = match daemon.get(&everywhere, &[], TABLE).await {
            Ok(Answer::Here(all)) => all,
            _ => Value::Null,
        };
        let all: Vec<(&str, &str)> = all["rows"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| {
                let metadata = &row["object"]["metadata"];
                Some((
                    metadata["namespace"].as_str().unwrap_or_default(),
                    metadata["name"].as_str()?,
                ))
            })
            .collect();
        let wanted = self.namespace.as_deref().unwrap_or_default();
        let here = all.iter().filter(|it| it.0 == wanted).map(|it| it.1);
        let elsewhere = all.iter().find(|it| it.1 == name);
        let hint = match (elsewhere, did_you_mean(name, here)) {
            (Some((namespace, _)), _) => {
                format!("there is one in namespace {namespace}: -n {namespace}")
            }
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => format!(
                "`stackward get {} -A` shows what there is",
                self.resource.plural
            ),
        };
        let place = match wanted {
            "" => String::new(),
            namespace => format!(" in namespace {namespace}"),
        };
        Advised::error(
            format!("there is no {kind} `{}`{}", clean(name), clean(&place)),
            clean(&hint),
        )
    }
}

/// An object of the API for people: `Server/db`, or `Server/team/db`.
pub(super) fn short(kind: &str, metadata: &Value) -> String {
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        None => format!("{kind}/{name}"),
        Some(namespace) => Key::new(kind, namespace, name).short().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resources() -> Resources {
        let resource = |plural: &str, singular: &str, kind: &str, more: Value| {
            let mut it = json!({"resource": plural, "singularResource": singular,
                "responseKind": {"kind": kind}, "scope": "Namespaced", "categories": ["all"]});
            it.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            it
        };
        let group = |name: &str, version: &str, all: Value| {
            json!({"metadata": {"name": name},
            "versions": [{"version": version, "resources": all}]})
        };
        let servers = resource(
            "servers",
            "server",
            "Server",
            json!({"shortNames": ["srv"]}),
        );
        let volumes = resource("volumes", "volume", "Volume", json!({}));
        let spaces = json!({"scope": "Cluster", "categories": []});
        let spaces = resource("namespaces", "namespace", "Namespace", spaces);
        let orc = resource("servers", "server", "Server", json!({"categories": []}));
        Resources(read(&json!({"items": [
            group("", "v1", json!([spaces])),
            group("stackward.dev", "v1alpha1", json!([servers, volumes])),
            group("openstack.k-orc.cloud", "v1alpha1", json!([orc])),
        ]})))
    }

    fn paths(words: &[&str], namespace: Option<&str>) -> anyhow::Result<Vec<String>> {
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        let resources = resources();
        let targets = resources.targets(&words, namespace)?;
        Ok(targets
            .iter()
            .map(|it| it.path() + &it.fields().map(|it| format!("?{it}")).unwrap_or_default())
            .collect())
    }

    #[test]
    fn words_become_paths() {
        let native = "apis/stackward.dev/v1alpha1";
        for (words, namespace, expected) in [
            (
                vec!["Servers"],
                Some("a"),
                vec![format!("{native}/namespaces/a/servers")],
            ),
            (
                vec!["srv", "db"],
                Some("a"),
                vec![format!("{native}/namespaces/a/servers/db")],
            ),
            (
                vec!["server/db"],
                Some("a"),
                vec![format!("{native}/namespaces/a/servers/db")],
            ),
            (
                vec!["Server/b/db"],
                Some("a"),
                vec![format!("{native}/namespaces/b/servers/db")],
            ),
            (
                vec!["server", "db"],
                None,
                vec![format!("{native}/servers?metadata.name=db")],
            ),
            (vec!["ns", "../x"], Some("a"), vec![]),
            (
                vec!["namespace", "b"],
                None,
                vec!["api/v1/namespaces/b".to_owned()],
            ),
            (vec!["namespaces", "a/b"], None, vec![]),
            (
                vec!["servers.openstack.k-orc.cloud"],
                None,
                vec!["apis/openstack.k-orc.cloud/v1alpha1/servers".to_owned()],
            ),
            (
                vec!["all"],
                None,
                vec![format!("{native}/servers"), format!("{native}/volumes")],
            ),
            (
                vec!["volume,srv,servers"],
                None,
                vec![format!("{native}/volumes"), format!("{native}/servers")],
            ),
        ] {
            match paths(&words, namespace) {
                Ok(paths) => assert_eq!(paths, expected, "{words:?}"),
                Err(error) => assert!(expected.is_empty(), "{words:?}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_in_a_name_cannot_change_the_path() {
        let path = resources()
            .one("server")
            .unwrap()
            .path(Some("a/b"), Some("c?d#e"));
        assert_eq!(
            path,
            "apis/stackward.dev/v1alpha1/namespaces/a%2Fb/servers/c%3Fd%23e"
        );
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_nearest_one() {
        for (word, hint) in [
            ("sever", "`server`"),
            ("banana", "there are namespaces, servers"),
        ] {
            let error = super::super::failure::words(&resources().one(word).unwrap_err());
            assert!(error.contains(hint), "{error}");
        }
    }
}
