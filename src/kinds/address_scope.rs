//! Neutron address scopes: where addresses do not overlap.
//!
//! They have neither a description nor tags, so the mark of ownership stands in the name, behind
//! the user's text; see `server_group` for why a natural key is not enough.
//! API: <https://docs.openstack.org/api-ref/network/v2/#address-scopes>.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::manifest::Ref;

use super::call::{Call, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::marker::Marker;
use super::need::Need;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal, neutron,
};

/// A set of addresses in which none is used twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "AddressScope")]
pub struct Spec {
    /// Name in the cloud, before the mark of ownership; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of the addresses: 4 or 6.
    #[schemars(extend("enum" = [4, 6]))]
    pub ip_version: u8,
    /// May every project use it? Needs an administrator, and can never be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// Chooses an address scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name, with or without a mark of ownership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of the addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<u8>,
    /// May every project use it?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// What is known of an address scope.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud, without our mark.
    pub name: String,
    /// The project it belongs to.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Version of the addresses.
    pub ip_version: u8,
    /// May every project use it?
    pub shared: bool,
}

/// An address scope as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    #[serde(default)]
    name: String,
    project_id: Option<String>,
    ip_version: u8,
    #[serde(default)]
    shared: bool,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Share it with every project.
    Share,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("share")
    }
}

/// The kind.
#[derive(Debug)]
pub enum AddressScope {}

impl Kind for AddressScope {
    const NAME: &'static str = "AddressScope";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "address-scopes",
        query: &[],
        path: "address-scopes",
        route: "address-scopes/{id}",
        one: "address_scope",
        many: "address_scopes",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Name;
    const ANSWERS_WHOLE: bool = true;
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("shared", Change::Action(Action::Share)),
        Field::new("ipVersion", Change::Replace),
        Field::new("projectRef", Change::Replace),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(scope: &Object) -> Identity {
        let (name, marker) = Marker::split(&scope.name);
        Identity {
            id: scope.id.clone(),
            name: name.to_owned(),
            project: scope.project_id.clone(),
            marker,
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(scope: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(Marker::split(&scope.name).0.to_owned()),
            ip_version: scope.ip_version,
            shared: Some(scope.shared),
            project_ref: scope.project_id.clone().map(Ref::Id),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.shared.take_if(|it| !*it);
    }

    fn status(scope: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: Marker::split(&scope.name).0.to_owned(),
            project_id: scope.project_id.clone(),
            ip_version: scope.ip_version,
            shared: scope.shared,
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints = super::marker::check_name(spec.name.as_deref());
        if !matches!(spec.ip_version, 4 | 6) {
            complaints.push(Complaint::new("/ipVersion", "must be 4 or 6"));
        }
        complaints
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = Map::new();
        let name = birth.marker.describe(Some(birth.name));
        body.insert("name".to_owned(), json!(name));
        body.insert("ip_version".to_owned(), json!(spec.ip_version));
        neutron::set(&mut body, "shared", spec.shared);
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    /// A new name keeps the mark.
    fn update(spec: &Spec, scope: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        if fields.contains(&"name") {
            let name = spec.name.as_deref().unwrap_or_default();
            let marked = Marker::split(&scope.name)
                .1
                .map_or_else(|| name.to_owned(), |marker| marker.describe(Some(name)));
            body.insert("name".to_owned(), json!(marked));
        }
        neutron::put(&Self::COLLECTION, &scope.id, body)
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        scope: &Object,
    ) -> Result<Call, Refusal> {
        let Action::Share = action;
        if spec.shared != Some(true) {
            return Err(Refusal::new(
                "an address scope that is shared cannot be unshared",
            ));
        }
        let mut body = Map::new();
        body.insert("shared".to_owned(), json!(true));
        Ok(neutron::put(&Self::COLLECTION, &scope.id, body))
    }

    fn brand(scope: &Object, birth: &Birth<'_>) -> Option<Call> {
        let mut body = Map::new();
        let name = birth.marker.describe(Some(Marker::split(&scope.name).0));
        body.insert("name".to_owned(), json!(name));
        Some(neutron::put(&Self::COLLECTION, &scope.id, body))
    }

    fn matches(filter: &Filter, scope: &Object) -> bool {
        let Filter {
            name,
            ip_version,
            shared,
            ..
        } = filter;
        name.as_ref()
            .is_none_or(|it| *it == scope.name || it == Marker::split(&scope.name).0)
            && ip_version.is_none_or(|it| it == scope.ip_version)
            && shared.is_none_or(|it| it == scope.shared)
            && neutron::is_of(filter.project_ref.as_ref(), scope.project_id.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::erased::{Intent, Of, unclassified};
    use crate::kinds::neutron::testing::{
        body, chooses, complaints, drift, fixture, look, marker, request, status, unlike,
    };

    const RECORDED: &str = include_str!("testdata/address-scope.json");

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<AddressScope>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        let whole = json!({"name": "a", "ipVersion": 6, "shared": true});
        assert_eq!(
            unlike::<AddressScope>(&whole, &json!({})),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn a_recorded_scope_is_understood() {
        let found = fixture::<AddressScope>(RECORDED);
        assert_eq!((found.health.clone(), found.marker), (Health::Ready, None));
        let want = json!({"name": "rec-address-scope", "ipVersion": 4, "shared": false});
        assert_eq!(drift::<AddressScope>(&want, &found), []);
        assert_eq!(status::<AddressScope>(&found)["ipVersion"], 4);
        assert!(chooses::<AddressScope>(
            &json!({"ipVersion": 4, "shared": false}),
            &found
        ));
        assert!(!chooses::<AddressScope>(&json!({"ipVersion": 6}), &found));
    }

    #[test]
    fn a_new_name_keeps_the_mark_and_adoption_writes_it() {
        let ours = look::<AddressScope>(
            json!({"id": "s", "name": marker().describe(Some("old")), "ip_version": 4}),
        );
        let want = json!({"name": "new", "ipVersion": 4});
        let call =
            request::<AddressScope>(&Intent::Update(vec!["name"]), &want, Some(&ours)).unwrap();
        let name = marker().describe(Some("new"));
        assert_eq!(body(&call), &json!({"address_scope": {"name": name}}));
        let foreign = fixture::<AddressScope>(RECORDED);
        let call = request::<AddressScope>(&Intent::Adopt, &want, Some(&foreign)).unwrap();
        let name = marker().describe(Some("rec-address-scope"));
        assert_eq!(body(&call), &json!({"address_scope": {"name": name}}));
    }

    #[test]
    fn sharing_cannot_be_taken_back() {
        let shared =
            look::<AddressScope>(json!({"id": "s", "name": "n", "ip_version": 4, "shared": true}));
        let act = |want| request::<AddressScope>(&Intent::Act("shared"), &want, Some(&shared));
        assert!(act(json!({"ipVersion": 4, "shared": false})).is_err());
        assert!(act(json!({"ipVersion": 4, "shared": true})).is_ok());
        assert_eq!(
            complaints::<AddressScope>(&json!({"ipVersion": 5})),
            ["/ipVersion"]
        );
    }
}
