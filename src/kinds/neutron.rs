//! What Neutron's resources have in common: its standard attributes, the marker at the end of the
//! description, tags, and the requests that change them. No kind of its own.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Service, segment};
use super::health::Health;
use super::marker::Marker;
use super::need::{Need, What};
use super::{Birth, Collection, Complaint, Identity};

/// What Neutron takes as a name, and as a description with our marker in it.
const MAX_TEXT: usize = 255;
/// ` [` and `]` around a marker of at most 53 characters.
const MARKER_ROOM: usize = 56;
/// What a description may have beside the marker.
const MAX_DESCRIPTION: usize = MAX_TEXT - MARKER_ROOM;
/// What ORC takes; Neutron's own limit is the operator's.
const MAX_TAGS: usize = 64;

/// The attributes that (nearly) every resource of Neutron has. Those of extensions may be absent.
#[derive(Debug, Clone, Deserialize)]
pub struct Standard {
    /// The id in the cloud.
    pub id: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    project_id: Option<String>,
    // The older name of the same; clouds before Newton answer only this one.
    tenant_id: Option<String>,
    revision_number: Option<u64>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

/// The part of `status.resource` that every kind of Neutron has. As in ORC, what is empty is absent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandardStatus {
    /// Name in the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description, without our marker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The project it belongs to.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Counts the changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_number: Option<u64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// The part of an import filter that every kind of Neutron has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Exact name.
    pub name: Option<&'a str>,
    /// Exact description.
    pub description: Option<&'a str>,
    /// It has all of these tags.
    pub tags: Option<&'a [String]>,
    /// It has at least one of these.
    pub tags_any: Option<&'a [String]>,
    /// It does not have all of these.
    pub not_tags: Option<&'a [String]>,
    /// It has none of these.
    pub not_tags_any: Option<&'a [String]>,
}

/// A static route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Where to, `10.0.0.0/8`.
    #[schemars(with = "String", extend("format" = "cidr"))]
    pub destination: IpNet,
    /// The next router on the way.
    pub next_hop: IpAddr,
}

/// A route in Neutron's spelling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hop {
    /// Where to.
    pub destination: IpNet,
    /// The next router on the way.
    pub nexthop: IpAddr,
}

impl Standard {
    /// Identity of a resource whose marker stands in its description.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            name: self.name().to_owned(),
            project: self.project(),
            marker: self.marker(),
            ..Identity::default()
        }
    }

    /// Its name; empty when it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The description as its author wrote it, without our marker.
    #[must_use]
    pub fn text(&self) -> &str {
        Marker::split(self.description.as_deref().unwrap_or_default()).0
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        self.tags.clone()
    }

    /// The project it belongs to.
    #[must_use]
    pub fn project(&self) -> Option<String> {
        self.project_id
            .clone()
            .or_else(|| self.tenant_id.clone())
            .filter(|id| !id.is_empty())
    }

    /// The project it belongs to, as a spec refers to it.
    #[must_use]
    pub fn project_ref(&self) -> Option<Ref> {
        self.project().map(Ref::Id)
    }

    /// The description to send, so that the resource keeps the marker that it has.
    #[must_use]
    pub fn described(&self, text: Option<&str>) -> Value {
        match self.marker() {
            Some(marker) => json!(marker.describe(text)),
            None => json!(text.unwrap_or_default()),
        }
    }

    /// See [`StandardStatus`].
    #[must_use]
    pub fn status(&self) -> StandardStatus {
        StandardStatus {
            name: filled(self.name()),
            description: filled(self.text()),
            project_id: self.project(),
            tags: self.tags.clone(),
            revision_number: self.revision_number,
            created_at: self.created_at.clone(),
            updated_at: self.updated_at.clone(),
        }
    }

    /// Does the common part of a filter choose it?
    #[must_use]
    pub fn is(&self, wanted: &Wanted<'_>) -> bool {
        let Wanted {
            name,
            description,
            tags,
            tags_any,
            not_tags,
            not_tags_any,
        } = *wanted;
        let has = |tag: &String| self.tags.contains(tag);
        name.is_none_or(|it| it == self.name())
            && description
                .is_none_or(|it| it == self.text() || Some(it) == self.description.as_deref())
            && tags.is_none_or(|them| them.iter().all(has))
            && tags_any.is_none_or(|them| them.iter().any(has))
            && not_tags.is_none_or(|them| !them.iter().all(has))
            && not_tags_any.is_none_or(|them| !them.iter().any(has))
    }

    /// The request that writes our marker behind the description that is there.
    #[must_use]
    pub fn brand(&self, collection: &Collection, birth: &Birth<'_>) -> Call {
        let mut body = Map::new();
        body.insert(
            "description".to_owned(),
            json!(birth.marker.describe(Some(self.text()))),
        );
        put(collection, &self.id, body)
    }

    fn marker(&self) -> Option<Marker> {
        Marker::split(self.description.as_deref()?).1
    }
}

/// What every create body begins with: the name, and the description with the marker.
#[must_use]
pub fn newborn(birth: &Birth<'_>, description: Option<&str>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(birth.name));
    body.insert(
        "description".to_owned(),
        json!(birth.marker.describe(description)),
    );
    body
}

/// The need of a spec or a filter that names a project.
pub fn project_need(reference: &mut Option<Ref>, visit: &mut dyn FnMut(Need<'_>)) {
    if let Some(reference) = reference {
        let what = What::Object {
            kind: "Project",
            reference,
        };
        visit(Need {
            pointer: "/projectRef".to_owned(),
            what,
        });
    }
}

/// Has a resource made in another project than that of the credentials.
pub fn place(body: &mut Map<String, Value>, project: Option<&Ref>) {
    set(body, "project_id", project.and_then(Ref::id));
}

/// Does a filter's project agree with the one that it belongs to?
#[must_use]
pub fn is_of(wanted: Option<&Ref>, project: Option<&str>) -> bool {
    wanted.is_none_or(|it| it.id().is_some() && it.id() == project)
}

/// Puts a property into a body, if it has a value.
pub fn set<T: Serialize>(body: &mut Map<String, Value>, property: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(property.to_owned(), json!(value));
    }
}

/// The request that creates one.
#[must_use]
pub fn post(collection: &Collection, body: Map<String, Value>) -> Call {
    Call::new(
        Service::Network,
        Method::Post,
        collection.path,
        collection.path,
    )
    .json(json!({ collection.one: body }))
}

/// The request that changes one.
#[must_use]
pub fn put(collection: &Collection, id: &str, body: Map<String, Value>) -> Call {
    let path = format!("{}/{}", collection.path, segment(id));
    Call::new(Service::Network, Method::Put, collection.route, path)
        .json(json!({ collection.one: body }))
}

/// The request that replaces the tags: Neutron does not take them when it makes a resource.
#[must_use]
pub fn put_tags(
    collection: &Collection,
    route: &'static str,
    id: &str,
    tags: Option<&[String]>,
) -> Call {
    let path = format!("{}/{}/tags", collection.path, segment(id));
    Call::new(Service::Network, Method::Put, route, path)
        .json(json!({ "tags": tags.unwrap_or_default() }))
}

/// Health of a resource that serves only when it is ACTIVE.
#[must_use]
pub fn health(status: Option<&str>) -> Health {
    match status {
        // Some drivers do not say.
        Some("ACTIVE") | None => Health::Ready,
        Some("DOWN") => Health::Off("DOWN".to_owned()),
        Some("ERROR") => Health::Stuck {
            state: "ERROR".to_owned(),
            fault: None,
        },
        Some(status) => Health::Moving(status.to_owned()),
    }
}

/// Health of a resource that is DOWN as long as nothing uses it: ports, floating IPs.
#[must_use]
pub fn health_when_used(status: Option<&str>) -> Health {
    match status {
        Some("DOWN" | "N/A") => Health::Ready,
        other => health(other),
    }
}

/// What is wrong with the fields that every kind of Neutron has. Manila has the same limits.
#[must_use]
pub fn check(
    name: Option<&str>,
    description: Option<&str>,
    tags: Option<&[String]>,
) -> Vec<Complaint> {
    let too_long = |text: &str, most: usize| text.chars().count() > most;
    let mut complaints = Vec::new();
    if name.is_some_and(|name| too_long(name, MAX_TEXT)) {
        let message = format!("a name has at most {MAX_TEXT} characters");
        complaints.push(Complaint::new("/name", message));
    }
    if description.is_some_and(|text| too_long(text, MAX_DESCRIPTION)) {
        complaints.push(
            Complaint::new(
                "/description",
                format!("a description has at most {MAX_DESCRIPTION} characters here"),
            )
            .hint(format!(
                "the cloud takes {MAX_TEXT}, of which {MARKER_ROOM} hold the mark of ownership"
            )),
        );
    }
    let tags = tags.unwrap_or_default();
    if tags.len() > MAX_TAGS {
        complaints.push(Complaint::new("/tags", format!("at most {MAX_TAGS} tags")));
    }
    for (index, tag) in tags.iter().enumerate() {
        if tag.is_empty() || too_long(tag, MAX_TEXT) {
            complaints.push(Complaint::new(
                format!("/tags/{index}"),
                format!("a tag has 1 to {MAX_TEXT} characters"),
            ));
        }
    }
    complaints
}

/// Sorts a list whose order means nothing, and takes out what is there twice: Neutron does it too.
pub fn as_set<T: Ord>(list: &mut Option<Vec<T>>) {
    if let Some(list) = list {
        list.sort();
        list.dedup();
    }
}

/// A text, unless it is empty.
#[must_use]
pub fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl From<&Hop> for Route {
    fn from(hop: &Hop) -> Self {
        Self {
            destination: hop.destination.trunc(),
            next_hop: hop.nexthop,
        }
    }
}

impl From<&Route> for Hop {
    fn from(route: &Route) -> Self {
        Self {
            destination: route.destination,
            nexthop: route.next_hop,
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::need::Material;
    use uuid::Uuid;

    fn standard(description: &str, tags: &[&str]) -> Standard {
        serde_json::from_value(json!({"id": "a", "description": description, "tags": tags}))
            .unwrap()
    }

    const PLACE: Collection = Collection {
        list: "things",
        query: &[],
        path: "things",
        route: "things/{id}",
        one: "thing",
        many: "things",
        read: None,
    };

    #[test]
    fn a_changed_description_keeps_the_marker() {
        let marker = testing::marker();
        let ours = standard(&marker.describe(Some("old")), &[]);
        assert_eq!(ours.text(), "old");
        assert_eq!(
            ours.described(Some("new")),
            json!(marker.describe(Some("new")))
        );
        assert_eq!(standard("old", &[]).described(Some("new")), json!("new"));
    }

    #[test]
    fn branding_keeps_the_text_and_replaces_the_marker_of_another() {
        let material = Material::default();
        let birth = Birth {
            name: "x",
            marker: testing::marker(),
            object: "Network/default/x",
            id: Uuid::nil(),
            material: &material,
        };
        let other = Marker {
            attempt: 1,
            ..testing::marker()
        };
        let theirs = standard(&other.describe(Some("text")), &[]);
        let call = theirs.brand(&PLACE, &birth);
        assert_eq!((call.method, call.path.as_str()), (Method::Put, "things/a"));
        assert_eq!(
            testing::body(&call),
            &json!({"thing": {"description": testing::marker().describe(Some("text"))}})
        );
    }

    #[test]
    fn tags_of_a_filter_mean_what_neutron_means() {
        let owned = |tags: &[&str]| tags.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (ab, bc, cd) = (owned(&["a", "b"]), owned(&["b", "c"]), owned(&["c", "d"]));
        let it = standard("", &["a", "b"]);
        let is = |wanted: Wanted<'_>| it.is(&wanted);
        assert!(is(Wanted {
            tags: Some(&ab),
            ..Wanted::default()
        }));
        assert!(!is(Wanted {
            tags: Some(&bc),
            ..Wanted::default()
        }));
        assert!(is(Wanted {
            tags_any: Some(&bc),
            ..Wanted::default()
        }));
        assert!(!is(Wanted {
            tags_any: Some(&cd),
            ..Wanted::default()
        }));
        assert!(is(Wanted {
            not_tags: Some(&bc),
            ..Wanted::default()
        }));
        assert!(!is(Wanted {
            not_tags: Some(&ab),
            ..Wanted::default()
        }));
        assert!(is(Wanted {
            not_tags_any: Some(&cd),
            ..Wanted::default()
        }));
        assert!(!is(Wanted {
            not_tags_any: Some(&bc),
            ..Wanted::default()
        }));
    }

    #[test]
    fn a_filter_finds_a_description_with_and_without_its_marker() {
        let described = testing::marker().describe(Some("blog"));
        let it = standard(&described, &[]);
        for text in ["blog", described.as_str()] {
            assert!(it.is(&Wanted {
                description: Some(text),
                ..Wanted::default()
            }));
        }
        assert!(!it.is(&Wanted {
            description: Some("blo"),
            ..Wanted::default()
        }));
    }

    #[test]
    fn a_description_must_leave_room_for_the_marker() {
        let longest = "x".repeat(MAX_DESCRIPTION);
        assert_eq!(check(None, Some(&longest), None), []);
        assert!(testing::marker().describe(Some(&longest)).len() <= MAX_TEXT);
        let pointers: Vec<String> = check(
            Some(&"n".repeat(256)),
            Some(&format!("{longest}x")),
            Some(&["ok".to_owned(), String::new()]),
        )
        .into_iter()
        .map(|it| it.pointer)
        .collect();
        assert_eq!(pointers, ["/name", "/description", "/tags/1"]);
    }

    #[test]
    fn every_state_has_a_meaning() {
        assert_eq!(health(Some("ACTIVE")), Health::Ready);
        assert_eq!(health(Some("DOWN")), Health::Off("DOWN".to_owned()));
        assert_eq!(health(Some("BUILD")), Health::Moving("BUILD".to_owned()));
        assert!(matches!(health(Some("ERROR")), Health::Stuck { .. }));
        for idle in ["DOWN", "N/A", "ACTIVE"] {
            assert_eq!(health_when_used(Some(idle)), Health::Ready);
        }
        assert_eq!(
            health_when_used(Some("BUILD")),
            Health::Moving("BUILD".to_owned())
        );
        assert!(matches!(
            health_when_used(Some("ERROR")),
            Health::Stuck { .. }
        ));
    }
}
