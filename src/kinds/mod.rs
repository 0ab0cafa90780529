//! One file per OpenStack resource: its shape, its rules, and its requests as data.
//!
//! No I/O here. Adding a kind is one file with an `impl Kind`, one line in [`KINDS`] and one
//! fixture in `testdata/`; see CONTRIBUTING.md.

pub mod address_scope;
mod advice;
pub mod among;
pub mod application_credential;
pub mod call;
pub mod domain;
pub mod endpoint;
pub mod erased;
pub mod field;
pub mod flavor;
pub mod floating_ip;
mod found;
pub mod group;
pub mod health;
pub mod image;
pub mod intent;
pub mod keypair;
pub mod keystone;
pub mod laws;
pub mod marker;
pub mod need;
pub mod network;
pub mod neutron;
pub mod orc;
pub mod port;
pub mod project;
pub mod quota;
pub mod role;
pub mod role_assignment;
pub mod router;
pub mod router_interface;
pub mod schema;
pub mod security_group;
pub mod server;
pub mod server_group;
pub mod service;
pub mod share_network;
pub mod subnet;
#[cfg(test)]
pub(crate) mod testing;
mod time;
pub mod trunk;
mod unfit;
pub mod user;
pub mod volume;
pub mod volume_snapshot;
pub mod volume_type;

use std::borrow::Cow;
use std::fmt::Display;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::manifest::{Mark, Shape};

use call::{Call, List, Method, Microversion, Reply, Service};
use erased::{AnyKind, Intent, Of};
use field::{Change, Field};
use health::Health;
use marker::Marker;
use need::{Inputs, Material, Need};
use quota::{Demand, Nearby};

/// Every kind, in the order in which a person would create them.
pub static KINDS: &[&dyn AnyKind] = &[
    &Of::<domain::Domain>::NEW,
    &Of::<project::Project>::NEW,
    &Of::<group::Group>::NEW,
    &Of::<user::User>::NEW,
    &Of::<role::Role>::NEW,
    &Of::<role_assignment::RoleAssignment>::NEW,
    &Of::<service::Service>::NEW,
    &Of::<endpoint::Endpoint>::NEW,
    &Of::<application_credential::ApplicationCredential>::NEW,
    &Of::<flavor::Flavor>::NEW,
    &Of::<image::Image>::NEW,
    &Of::<keypair::KeyPair>::NEW,
    &Of::<server_group::ServerGroup>::NEW,
    &Of::<address_scope::AddressScope>::NEW,
    &Of::<network::Network>::NEW,
    &Of::<subnet::Subnet>::NEW,
    &Of::<security_group::SecurityGroup>::NEW,
    &Of::<port::Port>::NEW,
    &Of::<trunk::Trunk>::NEW,
    &Of::<router::Router>::NEW,
    &Of::<router_interface::RouterInterface>::NEW,
    &Of::<volume_type::VolumeType>::NEW,
    &Of::<volume::Volume>::NEW,
    &Of::<volume_snapshot::VolumeSnapshot>::NEW,
    &Of::<server::Server>::NEW,
    &Of::<floating_ip::FloatingIp>::NEW,
    &Of::<share_network::ShareNetwork>::NEW,
];

/// The kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn AnyKind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// Nova requests are written for 2.79; lists and reads are at 2.46, the last version in which a
/// server names its flavor by id (from 2.47 on it is embedded without one).
pub const COMPUTE: Microversion = Microversion {
    want: (2, 79),
    floor: (2, 1),
};
/// See [`COMPUTE`].
pub const COMPUTE_READ: Microversion = Microversion {
    want: (2, 46),
    floor: (2, 3),
};
/// Manila requests are written for 2.63, from which on a share network tells its state; from 2.51 on
/// it has several subnets.
pub const SHARED_FILE_SYSTEM: Microversion = Microversion {
    want: (2, 63),
    floor: (2, 0),
};
/// Cinder requests are written for 3.59.
pub const BLOCK_STORAGE: Microversion = Microversion {
    want: (3, 59),
    floor: (3, 0),
};

/// Where a kind's ownership marker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerPlace {
    /// In the create body's metadata (Nova, Cinder).
    Metadata,
    /// A property of its own, and the id is chosen by us (Glance).
    Property,
    /// At the end of the description (Neutron).
    Description,
    /// At the end of the name, for what has no other text (server groups, address scopes).
    Name,
    /// Nowhere: a natural key identifies it, the journal says whether we made it.
    NaturalKey,
}

/// Where a kind lives in its service's API. The paths may hold [`call::USER_ID`].
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// The list request's path: `servers/detail`.
    pub list: &'static str,
    /// Fixed query parameters of the list.
    pub query: &'static [(&'static str, &'static str)],
    /// The collection's path: `servers`; `{path}/{id}` is one item.
    pub path: &'static str,
    /// `{path}/{id}`, as a label.
    pub route: &'static str,
    /// The envelope of one item: `server`; empty when there is none (Glance).
    pub one: &'static str,
    /// The envelope of a list: `servers`.
    pub many: &'static str,
    /// Microversion of lists and reads.
    pub read: Option<Microversion>,
}

/// What is read of any resource, whatever its kind.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The id in the cloud.
    pub id: String,
    /// Its name there; may be empty.
    pub name: String,
    /// The project it belongs to; `None` where the API does not say (keypairs, flavors).
    pub project: Option<String>,
    /// The marker that it carries.
    pub marker: Option<Marker>,
    /// For kinds that are identified by a natural key.
    pub natural_key: Option<String>,
    /// Ids of the resources that it is attached to (a port's and a volume's server), so that those
    /// can be seen together with it.
    pub attached_to: Vec<String>,
    /// For what has no marker of its own: kind and id of the resource that it is a part of. If that
    /// one carries our marker, this is ours as well.
    pub part_of: Option<(&'static str, String)>,
    /// When it stops to serve by itself, if it does.
    pub expires: Option<Timestamp>,
    /// When it counts as left in a state that is a step on the way as a rule: then it serves.
    pub settles: Option<Timestamp>,
}

/// What a new resource is given at birth, beside its spec.
#[derive(Debug, Clone, Copy)]
pub struct Birth<'a> {
    /// Its name in the cloud.
    pub name: &'a str,
    /// Its ownership marker.
    pub marker: Marker,
    /// `Kind/namespace/name`, for people.
    pub object: &'a str,
    /// A fresh id, for APIs that let the client choose it.
    pub id: Uuid,
    /// What is secret in the spec.
    pub material: &'a Material,
}

/// A request that cannot be made, for a reason that only a person can remove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why, and what would help.
    pub message: String,
}

impl Refusal {
    /// A refusal in words, if this is so.
    ///
    /// # Errors
    /// The refusal.
    pub fn when(is_so: bool, message: &str) -> Result<(), Self> {
        if is_so {
            return Err(Self::new(message));
        }
        Ok(())
    }

    /// A refusal in words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// What is wrong with a spec although its types are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// JSON pointer below the spec, `/rules/0/portRange`; empty for the spec itself.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// It keeps one from being made, and does not matter to one that exists.
    pub at_birth: bool,
    /// The line and the column that it is about, within the text at `pointer`.
    pub within: Option<Mark>,
}

impl Complaint {
    /// A complaint about the field at `pointer`.
    #[must_use]
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
            hint: None,
            at_birth: false,
            within: None,
        }
    }

    /// The same complaint, about a place within the text that stands there.
    #[must_use]
    pub fn within(mut self, line: u32, column: u32) -> Self {
        self.within = Some(Mark { line, column });
        self
    }

    /// The same complaint, about the making only: what adopts a resource is let off.
    #[must_use]
    pub const fn at_birth(mut self) -> Self {
        self.at_birth = true;
        self
    }

    /// The same complaint with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// An object that another one's spec stands for, beside the other one itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Its kind, which has no envelope.
    pub kind: &'static str,
    /// Its name, in the namespace of the other one.
    pub name: String,
    /// Its spec.
    pub spec: Value,
    /// The pointer of the field that it comes from, below the other one's spec.
    pub field: &'static str,
}

/// One element of a set that is to be added or removed.
pub type Element = Value;

/// One kind of OpenStack resource: its shape, its rules, and its requests. No I/O.
pub trait Kind: Send + Sync + Sized + 'static {
    /// The kind's name in manifests: `Volume`.
    const NAME: &'static str;
    /// The service that has it.
    const SERVICE: Service;
    /// Whether `spec` has an envelope (`resource`, `import`, ...) or is the resource itself.
    const SHAPE: Shape = Shape::Enveloped;
    /// Where it lives in the API.
    const COLLECTION: Collection;
    /// Where its ownership marker stands.
    const MARKER: MarkerPlace;
    /// One row per field of `Spec`, in the order in which changes are made.
    const FIELDS: &'static [Field<Self::Action>];
    /// For what belongs to users rather than to projects: the field, of the spec and of the filter,
    /// that names the user. Only what belongs to the connection's own user is listed
    /// ([`call::USER_ID`] is in the paths), so a reference to another one is refused.
    const OF_USER: Option<&'static str> = None;
    /// Fields that are no part of the create request and come after it: what they refer to holds up
    /// neither the creation nor, where objects name each other, either of them.
    const LATER: &'static [&'static str] = &[];
    /// Does the answer to a create or an update show all that a list would show? Then it is a look.
    /// Only where the service makes both from one view: what an answer left out would look like drift.
    const ANSWERS_WHOLE: bool = false;
    /// Is a create answered when it has only begun (202)? Then the first look after it has time.
    const ANSWERS_EARLY: bool = false;
    /// Kinds whose resources are looked at together with this one, because they say what is
    /// attached to it: a server's ports and volumes.
    const ATTACHED: &'static [&'static str] = &[];
    /// Those of them that show what others refer to of it: the addresses of a server are those of its
    /// ports.
    const REVEALED_BY: &'static [&'static str] = &[];
    /// Fields whose change one of those kinds can hinder ([`Kind::hindrance`]) that tells nothing else,
    /// and which kind: where a manifest sets the field, it is looked at before the change, and only
    /// then.
    const HINDERED_BY: &'static [(&'static str, &'static str)] = &[];
    /// Fields that one of those kinds tells, and which: they alone wait while it cannot be listed.
    const TOLD_BY: &'static [(&'static str, &'static str)] = &[];
    /// Kinds whose resources the service deletes together with the one of this kind that they are
    /// [`Identity::attached_to`]: as long as there are any, this one is not deleted.
    const CASCADE: &'static [&'static str] = &[];
    /// What its service counts of it in the project's quota: each one takes one.
    const QUOTA: Option<&'static str> = None;
    /// Pointers below the spec of the fields that only the native group has, `*` for any item:
    /// `/routes`, `/rules/*/remoteGroupRef`. In ORC's group they are a problem.
    const NATIVE_FIELDS: &'static [&'static str] = &[];
    /// The same for the filter.
    const NATIVE_FILTERS: &'static [&'static str] = &[];
    /// For what is listed part by part: the parameter of the list, and the field of spec and filter
    /// that says which part an object is in. What is found in a part says so as its project.
    const PART: Option<(&'static str, &'static str)> = None;
    /// Pointers below the spec of texts that people put passwords into although they should not,
    /// `*` for any item: they are told to nobody.
    const CONFIDENTIAL: &'static [&'static str] = &[];
    /// True for kinds that hold data: they get a longer grace before a deletion.
    const HOLDS_DATA: bool = false;
    /// True for kinds that belong to the cloud rather than to a project, which only administrators
    /// change: an export has them when it is asked for them by name.
    const OF_THE_CLOUD: bool = false;
    /// What makes the service itself refuse a second one, in words: then there is exactly one,
    /// whatever happens to a request. `None` where nothing does: see [`AnyKind::single`].
    const SINGLE: Option<&'static str> = None;
    /// What the API never gives back, in words: it cannot be exported.
    const UNTOLD: &'static [&'static str] = &[];
    /// Whether our marker can be written onto one that exists, or none is needed.
    const ADOPTABLE: bool = true;

    /// What a person may ask for; `None` in a field means "I do not mind".
    type Spec: Serialize + DeserializeOwned + JsonSchema;
    /// How an existing resource is chosen by import or by a reference.
    type Filter: Serialize + DeserializeOwned + JsonSchema;
    /// `status.resource`: what templates and references read.
    type Status: Serialize + JsonSchema;
    /// What the API answers: only what is read.
    type Object: DeserializeOwned + Send + Sync;
    /// Requests beside create, update and delete.
    type Action: Copy + Display + Send + Sync + 'static;

    /// What every kind can say of an object.
    fn identity(object: &Self::Object) -> Identity;

    /// Usable, on its way, stuck, or leaving?
    fn health(object: &Self::Object) -> Health;

    /// The spec that would have produced this object: the inverse of `create`. References are
    /// `Ref::Id`.
    fn project(object: &Self::Object, attached: &Attached<'_>) -> Self::Spec;

    /// `status.resource` of this object.
    fn status(object: &Self::Object, attached: &Attached<'_>) -> Self::Status;

    /// Leaves out of a projected spec what a resource has anyway when nobody says so, so that an
    /// exported manifest is short. What is left asks for the same resource.
    fn abridge(spec: &mut Self::Spec) {
        let _ = spec;
    }

    /// Why it is none that a person made, if the cloud made it by itself: it goes with another one,
    /// and is not exported.
    fn made_by_cloud(object: &Self::Object) -> Option<&'static str> {
        let _ = object;
        None
    }

    /// Visits everything that the spec needs from outside.
    fn needs(spec: &mut Self::Spec, visit: &mut dyn FnMut(Need<'_>)) {
        let _ = (spec, visit);
    }

    /// Visits the references in a filter.
    fn filter_needs(filter: &mut Self::Filter, visit: &mut dyn FnMut(Need<'_>)) {
        let _ = (filter, visit);
    }

    /// What is wrong with a spec although its types are right. References are not yet resolved.
    fn check(spec: &Self::Spec) -> Vec<Complaint> {
        let _ = spec;
        Vec::new()
    }

    /// The object that the spec of the object of this name stands for, beside itself: it is looked
    /// after as if it had a manifest of its own.
    fn child(spec: &Self::Spec, name: &str) -> Option<Child> {
        let _ = (spec, name);
        None
    }

    /// Folds the inputs into a spec whose references are resolved: after this it is what is
    /// compared and created. Secrets go into the result, never into the spec.
    ///
    /// # Errors
    /// A [`Refusal`] when the inputs cannot be used (user data that is too long).
    fn fill(spec: &mut Self::Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        let _ = (spec, inputs);
        Ok(Material::default())
    }

    /// The key by which the API itself tells two of them apart; only for [`MarkerPlace::NaturalKey`].
    fn natural_key(spec: &Self::Spec, name: &str) -> Option<String> {
        let _ = (spec, name);
        None
    }

    /// The request that creates it. It carries the marker (unless the kind has a natural key), and
    /// nothing that can be done after it: one request, then look.
    fn create(spec: &Self::Spec, birth: &Birth<'_>) -> Call;

    /// What a request certainly takes of the project's quotas; what is not certain is left to the
    /// service, since a demand that is too big would hold up what fits. References are resolved.
    fn demand(
        intent: &Intent,
        spec: &Self::Spec,
        object: Option<&Self::Object>,
        nearby: &Nearby<'_>,
    ) -> Vec<Demand> {
        let _ = (spec, object, nearby);
        let counted = Self::QUOTA.filter(|_| *intent == Intent::Create);
        let one = counted.map(|resource| Demand::new(Self::SERVICE, resource, 1));
        one.into_iter().collect()
    }

    /// The id in the answer to `create`.
    fn born(reply: &Reply) -> Option<String> {
        let one = Self::COLLECTION.one;
        let body = if one.is_empty() {
            &reply.body
        } else {
            &reply.body[one]
        };
        body["id"].as_str().map(str::to_owned)
    }

    /// One request that brings these fields ([`field::Change::Update`]) to what the spec wants.
    fn update(spec: &Self::Spec, object: &Self::Object, fields: &[&'static str]) -> Call;

    /// The same, for kinds whose update carries something secret. By default it carries none.
    fn update_with(
        spec: &Self::Spec,
        object: &Self::Object,
        fields: &[&'static str],
        material: &Material,
    ) -> Call {
        let _ = material;
        Self::update(spec, object, fields)
    }

    /// The request for an action; `element` is the one to add or remove for members.
    ///
    /// # Errors
    /// A [`Refusal`] when the service would never accept it.
    fn act(
        action: Self::Action,
        element: Option<&Element>,
        spec: &Self::Spec,
        object: &Self::Object,
    ) -> Result<Call, Refusal>;

    /// What a resource is after an action whose answer shows what has come to it: with the rule that a
    /// security group was given.
    fn after(action: Self::Action, object: &Self::Object, reply: &Reply) -> Option<Self::Object> {
        let _ = (action, object, reply);
        None
    }

    /// May this surplus element of a set be removed? By default yes: the spec owns the whole set.
    fn may_remove(field: &str, element: &Element, attached: &Attached<'_>) -> bool {
        let _ = (field, element, attached);
        true
    }

    /// Does the change of this field ([`field::Change::Disrupt`]) to this value interrupt service?
    /// Starting what is stopped does not.
    fn interrupts(field: &str, want: &Value) -> bool {
        let _ = (field, want);
        true
    }

    /// Does it not serve because the spec wants it so: a server that is to be stopped?
    fn is_meant(spec: &Self::Spec, object: &Self::Object) -> bool {
        let _ = (spec, object);
        false
    }

    /// Do these two specs say the same of a field although the values differ?
    fn is_same(field: &str, want: &Value, have: &Value) -> bool {
        let _ = (field, want, have);
        false
    }

    /// Why an action, or the addition of an element, would be refused or never end as things are:
    /// in words that say what to do about it.
    fn hindrance(
        field: &str,
        element: Option<&Element>,
        object: &Self::Object,
        attached: &Attached<'_>,
    ) -> Option<String> {
        let _ = (field, element, object, attached);
        None
    }

    /// Why nobody is to change or delete it just now, if a person has locked it in the cloud: in
    /// words that say how that ends.
    fn lock(object: &Self::Object) -> Option<String> {
        let _ = object;
        None
    }

    /// Can a new one with this spec be made while this one is still there? By default yes.
    ///
    /// # Errors
    /// What only one of them can have: a fixed address, a port, a volume.
    fn beside(spec: &Self::Spec, object: &Self::Object) -> Result<(), Refusal> {
        let _ = (spec, object);
        Ok(())
    }

    /// For a stuck one: what moves it on, if anything does. [`field::Change::Action`] or, if the
    /// policy must allow it, [`field::Change::Disrupt`] or [`field::Change::Lose`].
    fn remedy(spec: &Self::Spec, object: &Self::Object) -> Option<Change<Self::Action>> {
        let _ = (spec, object);
        None
    }

    /// For a stuck one that holds nothing yet: may it be deleted and made again without asking?
    fn is_husk(object: &Self::Object) -> bool {
        let _ = object;
        false
    }

    /// The request that reads one.
    fn read(id: &str) -> Call {
        let Collection {
            path, route, read, ..
        } = Self::COLLECTION;
        Call::new(
            Self::SERVICE,
            Method::Get,
            route,
            format!("{path}/{}", call::segment(id)),
        )
        .at(read)
    }

    /// The item in the answer to [`Kind::read`]; for kinds whose answer has no body, what `id` says.
    fn item(id: &str, reply: &Reply) -> Value {
        let _ = id;
        match Self::COLLECTION.one {
            "" => reply.body.clone(),
            one => reply.body[one].clone(),
        }
    }

    /// What has to be done before the service accepts a deletion: the field that is changed, and
    /// the request. It is looked at anew afterwards.
    fn before_delete(object: &Self::Object) -> Option<(&'static str, Call)> {
        let _ = object;
        None
    }

    /// The request that deletes it. Never a cascade.
    fn delete(object: &Self::Object) -> Call {
        let Collection {
            path, route, read, ..
        } = Self::COLLECTION;
        let id = Self::identity(object).id;
        Call::new(
            Self::SERVICE,
            Method::Delete,
            route,
            format!("{path}/{}", call::segment(&id)),
        )
        .at(read)
    }

    /// The request that writes our marker onto an existing resource, by explicit consent (`adopt`).
    fn brand(object: &Self::Object, birth: &Birth<'_>) -> Option<Call>;

    /// Does the filter choose this object? References in it are `Ref::Id`.
    fn matches(filter: &Self::Filter, object: &Self::Object) -> bool;

    /// Of the objects that match, those that the filter means; more than one is an ambiguity.
    fn choose<'a>(filter: &Self::Filter, objects: &[&'a Self::Object]) -> Vec<&'a Self::Object> {
        objects
            .iter()
            .copied()
            .filter(|object| Self::matches(filter, object))
            .collect()
    }

    /// The list request of the collection.
    fn list() -> List {
        let Collection {
            list,
            query,
            many,
            read,
            ..
        } = Self::COLLECTION;
        List {
            service: Self::SERVICE,
            path: list,
            query: query
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            items: many,
            microversion: read,
            parts: Vec::new(),
        }
    }

    /// Takes one item out of what a list holds or a read answers, a JSON text; by default the item itself.
    fn unwrap(item: &str) -> Cow<'_, str> {
        Cow::Borrowed(item)
    }
}

/// The resources that are attached to another one, by kind.
#[derive(Default)]
pub struct Attached<'a> {
    items: Vec<(&'static str, &'a erased::Found)>,
}

impl<'a> Attached<'a> {
    /// Adds one of a kind.
    pub fn push(&mut self, kind: &'static str, found: &'a erased::Found) {
        self.items.push((kind, found));
    }

    /// Those of one kind: what is known of each, and the object.
    pub fn of<K: Kind>(&self) -> impl Iterator<Item = (&'a erased::Found, &'a K::Object)> {
        self.items
            .iter()
            .filter(|(kind, _)| *kind == K::NAME)
            .filter_map(|(_, found)| Some((*found, found.object.downcast_ref::<K::Object>()?)))
    }
}

/// The action type of kinds that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}
