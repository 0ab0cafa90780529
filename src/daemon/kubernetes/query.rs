//! What is asked for beside the path: the parameters of a list or a watch, and the form of the answer.

use std::time::Duration;

use axum::extract::Query;
use axum::http::{HeaderMap, Uri, header};

use super::entry::{Entry, selectable};
use super::failure::Failure;
use super::resource::Resource;
use super::selector::{Fields, Labels};
use super::table::Include;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects.
    Plain,
    /// A table for people.
    Table,
    /// The metadata of the objects.
    Metadata,
    /// Discovery of all groups at once.
    Discovery,
}

impl Form {
    /// Its name in a `Content-Type`.
    pub(super) const fn content_type(self, is_list: bool) -> &'static str {
        match (self, is_list) {
            (Self::Plain, _) => "application/json",
            (Self::Table, _) => "application/json;as=Table;v=v1;g=meta.k8s.io",
            (Self::Metadata, true) => {
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
            }
            (Self::Metadata, false) => {
                "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
            }
            (Self::Discovery, _) => {
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
        }
    }

    /// The first of these that the client accepts, in its order.
    ///
    /// # Errors
    /// None.
    pub(super) fn accepted(headers: &HeaderMap, offered: &[Self]) -> Result<Self, Failure> {
        let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
        if lines.peek().is_none() {
            return Ok(Self::Plain);
        }
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(Self::of)
            .find(|form| offered.contains(form))
            .ok_or_else(|| Failure::not_acceptable(&["application/json"]))
    }

    fn of(range: &str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?;
        let (mut kind, mut group, mut version) = ("", "", "");
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "as" => kind = value,
                "g" => group = value,
                "v" => version = value,
                // Never, says the client.
                "q" if value.parse::<f32>().is_ok_and(|it| it <= 0.0) => return None,
                _ => {}
            }
        }
        match (media, kind, group, version) {
            ("application/json" | "application/*" | "*/*", "", _, _) => Some(Self::Plain),
            ("application/json", "Table", "meta.k8s.io", "v1") => Some(Self::Table),
            (
                "application/json",
                "PartialObjectMetadata" | "PartialObjectMetadataList",
                "meta.k8s.io",
                "v1",
            ) => Some(Self::Metadata),
            ("application/json", "APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => {
                Some(Self::Discovery)
            }
            _ => None,
        }
    }
}

/// The parameters of a list or a watch.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// Go on telling what changes.
    pub(super) watch: bool,
    /// From which version on; `None` from now on, whatever that is.
    pub(super) version: Option<u64>,
    /// Only this version will do.
    pub(super) exact: bool,
    /// Say now and then up to which version everything was told.
    pub(super) bookmarks: bool,
    /// Begin with what is there, and say where that ends.
    pub(super) initial: bool,
    /// End after this time.
    pub(super) timeout: Option<Duration>,
    /// What comes with each row of a table.
    pub(super) include: Include,
    /// Only these.
    pub(super) labels: Labels,
    /// Only these.
    pub(super) fields: Fields,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn of(uri: &Uri, resource: &Resource) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        let mut options = Self::default();
        for (name, value) in &pairs {
            options.read(name, value, resource)?;
        }
        if options.initial && !options.watch {
            let message = "sendInitialEvents is for watches";
            return Err(Failure::bad_request(message));
        }
        Ok(options)
    }

    fn read(&mut self, name: &str, value: &str, resource: &Resource) -> Result<(), Failure> {
        match name {
            "watch" => self.watch = flag(value),
            "allowWatchBookmarks" => self.bookmarks = flag(value),
            "sendInitialEvents" => self.initial = flag(value),
            "labelSelector" => self.labels = Labels::parse(value)?,
            "fieldSelector" => self.fields = Fields::parse(value, selectable(resource))?,
            // 0 is as if nothing was said.
            "timeoutSeconds" if !value.is_empty() => {
                let seconds = number(name, value)?;
                self.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            // Everything is answered at once, which a limit allows.
            "limit" if !value.is_empty() => {
                number(name, value)?;
            }
            "continue" if !value.is_empty() => {
                let message = "no list here is given in pieces, so there is none to be continued";
                return Err(Failure::bad_request(message));
            }
            // 0 is any version, and the last one is one.
            "resourceVersion" => {
                let version = match value {
                    "" | "0" => None,
                    value => Some(number(name, value)?),
                };
                self.version = version;
            }
            "resourceVersionMatch" => match value {
                "Exact" => self.exact = true,
                "" | "NotOlderThan" => {}
                other => {
                    let message = format!(
                        "resourceVersionMatch: `{other}` is neither Exact nor NotOlderThan"
                    );
                    return Err(Failure::bad_request(message));
                }
            },
            "includeObject" => {
                self.include = match value {
                    "" | "Metadata" => Include::Metadata,
                    "Object" => Include::Object,
                    "None" => Include::None,
                    other => {
                        let message =
                            format!("includeObject: `{other}` is none of None, Metadata, Object");
                        return Err(Failure::bad_request(message));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Is an entry one of those that are meant?
    pub(super) fn fit(&self, entry: &Entry) -> bool {
        self.labels.fit(entry.labels()) && self.fields.fit(|field, value| entry.has(field, value))
    }
}

/// As Kubernetes reads it: whatever does not say no says yes.
fn flag(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "0" | "false")
}

fn number(name: &str, value: &str) -> Result<u64, Failure> {
    value
        .parse()
        .map_err(|_| Failure::bad_request(format!("{name}: `{value}` is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::kubernetes::resource::{Access, find};
    use crate::manifest::Group;

    fn form(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Form::accepted(&headers, &[Form::Plain, Form::Table]).ok()
    }

    #[test]
    fn the_first_form_that_there_is_is_taken() {
        for (accept, expected) in [
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Some(Form::Table),
            ),
            (
                "application/json;as=Table;v=v2;g=meta.k8s.io, application/json",
                Some(Form::Plain),
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Some(Form::Plain),
            ),
            ("text/html, */*;q=0.8", Some(Form::Plain)),
            ("application/json;q=0", None),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/yaml", None),
            (
                "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                None,
            ),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
        assert_eq!(
            Form::accepted(&HeaderMap::new(), &[Form::Plain]),
            Ok(Form::Plain)
        );
    }

    #[test]
    fn parameters_are_read_and_what_is_wrong_is_said() {
        let servers = find(Group::Native, "servers", Access::Read).unwrap();
        let read = |query: &str| Options::of(&format!("/x?{query}").parse().unwrap(), servers);
        let options = read(
            "watch=1&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=5&limit=500&\
             labelSelector=a%3Db%2Cc&fieldSelector=metadata.name%3Dx&unknown=y&pretty=true",
        )
        .unwrap();
        assert!(options.watch && options.bookmarks && !options.initial && !options.exact);
        assert_eq!(options.version, Some(7));
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
        assert!(!read("watch=false").unwrap().watch);
        assert_eq!(read("resourceVersion=0").unwrap().version, None);
        for bad in [
            "resourceVersion=x",
            "resourceVersion=-1",
            "timeoutSeconds=soon",
            "limit=many",
            "continue=abc",
            "labelSelector=a%20b",
            "fieldSelector=spec.size%3D1",
            "resourceVersionMatch=Newest",
            "includeObject=Some",
            "sendInitialEvents=true",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
